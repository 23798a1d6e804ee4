import { weaknessesOf } from './registries/token-text.js'
import type { Secrets } from './secrets.js'

/** What may be wrong with the tokens that are used, one sentence each that names the setting and quotes no token. */
export const tokenWarnings = ({ notificationTokens, apiTokens }: Secrets): string[] => [
  ...weaknessesOf(
    'notification_tokens',
    notificationTokens.map(({ token }) => token),
  ),
  ...weaknessesOf(
    'api_tokens',
    apiTokens.map(({ token }) => token),
  ),
]
