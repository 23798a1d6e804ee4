import { join } from 'node:path'
import type { Config } from '../config/config.js'
import { keptToken, TOKEN_FILES } from '../config/secrets.js'

/**
 * What to say of a notification token that a start made and that configured ones have replaced: a registry that still sends it is
 * refused, and loses the events that it keeps when it is restarted with another one. Quotes no token.
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
