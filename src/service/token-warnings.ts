import type { Config } from '../config/config.js'
import { isAdmin, SCOPES } from '../tokens/api-tokens.js'
import { weaknessesOf, type NamedToken } from '../tokens/token-text.js'
import { TOKEN_FILES, type Secrets } from '../config/secrets.js'

type Given = {
  config: Pick<Config, 'notification_tokens' | 'api_tokens'>
  secrets: Pick<Secrets, 'notificationTokens' | 'apiTokens'>
}

/** Warnings about the tokens in use, one sentence each. A warning names the setting or the file, and quotes no token. */
export const tokenWarnings = (given: Given): string[] => {
  const [notificationTokens, apiTokens] = [namedNotificationTokens(given), namedApiTokens(given)]
  return [...weaknessesOf([...notificationTokens, ...apiTokens]), ...sharedTokens(notificationTokens, apiTokens)]
}

const namedNotificationTokens = ({ config, secrets }: Given): NamedToken[] =>
  config.notification_tokens.length > 0
    ? config.notification_tokens.map(({ token, registry }, i) => ({
        token,
        name: `notification_tokens: token ${i + 1}${registry === undefined ? '' : ` (${registry})`}`,
      }))
    : secrets.notificationTokens.map(inFile(TOKEN_FILES.notification))

const namedApiTokens = ({ config, secrets }: Given): NamedToken[] => [
  // The setting is a list of tokens, or has the tokens of each scope.
  ...SCOPES.flatMap((scope) =>
    config.api_tokens
      .filter((one) => one.scope === scope)
      .map(({ token }, i) => ({ token, name: `api_tokens: token ${i + 1} with the scope ${scope}` })),
  ),
  ...(config.api_tokens.some(isAdmin) ? [] : secrets.apiTokens.filter(isAdmin).map(inFile(TOKEN_FILES.api))),
]

const inFile =
  (file: string) =>
  ({ token }: { token: string }): NamedToken => ({ token, name: `the token in ${file}` })

/** Warnings about texts that are tokens for notifications and for the API. Such a token does not prevent the start, as a weak one. */
const sharedTokens = (notificationTokens: readonly NamedToken[], apiTokens: readonly NamedToken[]): string[] =>
  notificationTokens.flatMap(({ token, name }) =>
    apiTokens
      .filter((other) => other.token === token)
      .map(
        (other) =>
          `${name} has the same text as ${other.name}, so everyone who can read the configuration of the registry can use the API: ` +
          'replace one of them now',
      ),
  )
