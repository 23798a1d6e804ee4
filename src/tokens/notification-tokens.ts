import { isFields } from '../events/json.js'
import { isHost } from '../events/registry-host.js'
import { tokensIn } from './token-text.js'

/** A token for the webhook. */
export type NotificationToken = {
  token: string
  /** The registry with this token, if the operator named one: all events that arrive with the token belong to this registry. */
  registry?: string
}

/** The setting cannot be used. The message contains no token. */
export class NotificationTokensError extends Error {}

/**
 * Reads the setting `notification_tokens`. It is a list of tokens, a text with tokens separated by commas, or a map from names of
 * registries to a token or tokens, in the environment as JSON. Names are compared without case. Tokens under `*` belong to no named
 * registry, so that an old token stays valid while registries get their own tokens.
 * @throws NotificationTokensError
 */
export const readNotificationTokens = (value: unknown): NotificationToken[] => {
  const given = typeof value === 'string' && value.trimStart().startsWith('{') ? parse(value) : value
  const tokens = isFields(given)
    ? Object.entries(given).flatMap(namedTokens)
    : tokensOrRefuse(given).map((token) => ({ token }))
  const seen = new Map<string, string | undefined>()
  for (const { token, registry } of tokens as NotificationToken[]) {
    if (seen.has(token) && seen.get(token) !== registry) {
      throw new NotificationTokensError(`${seen.get(token) ?? UNNAMED} and ${registry ?? UNNAMED} have the same token`)
    }
    seen.set(token, registry)
  }
  return tokens
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new NotificationTokensError(
      'begins with { but is not JSON; expected, for example, {"registry.example.com": "tm…"}',
    )
  }
}

/** No host can have this name. */
const UNNAMED = '*'

const namedTokens = ([given, value]: [string, unknown]): NotificationToken[] => {
  const registry = given.toLowerCase()
  if (registry === UNNAMED) return tokensOrRefuse(value).map((token) => ({ token }))
  if (!isHost(registry)) {
    throw new NotificationTokensError(
      'a name in the map is neither a host, for example registry.example.com:5000, nor *',
    )
  }
  const tokens = tokensOrRefuse(value)
  if (tokens.length === 0) throw new NotificationTokensError(`${registry} has no token`)
  return tokens.map((token) => ({ token, registry }))
}

const tokensOrRefuse = (value: unknown): string[] => {
  const tokens = tokensIn(value)
  if (!tokens) {
    throw new NotificationTokensError('expected tokens, or a map of names of registries, each to its token')
  }
  return tokens
}
