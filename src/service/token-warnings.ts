import type { Config } from '../config/config.js'
import { isAdmin, SCOPES } from '../tokens/api-tokens.js'
import { weaknessesOf, type NamedToken } from '../tokens/token-text.js'
import { TOKEN_FILES, type Secrets } from '../config/secrets.js'

type Given = {
  config: Pick<Config, 'notification_tokens' | 'api_tokens'>
  secrets: Pick<Secrets, 'notificationTokens' | 'apiTokens'>
}

/** Warnings about the tokens in use, one sentence each. A warning names the setting or the file, and quotes no token. */
export const tokenWarnings = ({ config, secrets }: Given): string[] =>
  weaknessesOf([
    ...(config.notification_tokens.length > 0
      ? config.notification_tokens.map(({ token, registry }, i) => ({
          token,
          name: `notification_tokens: token ${i + 1}${registry === undefined ? '' : ` (${registry})`}`,
        }))
      : secrets.notificationTokens.map(inFile(TOKEN_FILES.notification))),
    // The setting is a list of tokens, or has the tokens of each scope.
    ...SCOPES.flatMap((scope) =>
      config.api_tokens
        .filter((one) => one.scope === scope)
        .map(({ token }, i) => ({ token, name: `api_tokens: token ${i + 1} with the scope ${scope}` })),
    ),
    ...(config.api_tokens.some(isAdmin) ? [] : secrets.apiTokens.filter(isAdmin).map(inFile(TOKEN_FILES.api))),
  ])

const inFile =
  (file: string) =>
  ({ token }: { token: string }): NamedToken => ({ token, name: `the token in ${file}` })
