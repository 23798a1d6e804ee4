import { scopesAsNames } from './http/api-tokens.js'
import { weaknessesOf } from './registries/token-text.js'
import type { Secrets } from './secrets.js'

/** What may be wrong with the tokens that are used: sentences that name the setting and the token, and quote no token. */
export const tokenWarnings = ({ notificationTokens, apiTokens }: Secrets): string[] => [
  ...weaknessesOf(
    'notification_tokens',
    notificationTokens.map(({ token, registry }) => ({ token, name: registry })),
  ),
  ...weaknessesOf('api_tokens', scopesAsNames(apiTokens)),
]
