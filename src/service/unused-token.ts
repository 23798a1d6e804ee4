import { join } from 'node:path'
import type { Config } from '../config/config.js'
import { keptToken, TOKEN_FILES } from '../config/secrets.js'

/**
 * Warns about a generated notification token that configured tokens have replaced. A registry that still sends it is refused. If
 * that registry is restarted with another token, it loses its queued events. Quotes no token.
 */
export const unusedTokenWarnings = ({
  data_dir,
  notification_tokens,
}: Pick<Config, 'data_dir' | 'notification_tokens'>): string[] => {
  if (notification_tokens.length === 0) return []
  const made = keptToken(data_dir)
  if (made === undefined || notification_tokens.some(({ token }) => token === made)) return []
  return [
    `the token in ${join(data_dir, TOKEN_FILES.notification)} is refused, because notification_tokens does not contain it: if a ` +
      'registry still sends it, add it under "*"; else remove the file',
  ]
}
