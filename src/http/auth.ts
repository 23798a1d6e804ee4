import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { NotificationToken } from '../tokens/notification-tokens.js'
import type { ApiToken, Scope } from '../tokens/api-tokens.js'

type Refused = 'missing' | 'wrong'

/** Says whether a request carries one of the API tokens, and the scope of that one. */
export type Authorize = (headers: IncomingHttpHeaders) => Refused | { scope: Scope }

/** Who sent a notification: the number of its token in the configuration, and the registry that the token names, if it does. */
export type TokenOfSender = { token: number; registry?: string }

/** Says whether a request carries one of the notification tokens, and which. */
export type AuthorizeSender = (headers: IncomingHttpHeaders) => Refused | TokenOfSender

const USUAL_BYTES = 256

/** Bytes of one length for every token, so that comparing them tells nothing, not even how long a token is. */
const comparable = (token: string): Buffer => {
  const bytes = Buffer.alloc(USUAL_BYTES + 4)
  const length = Buffer.byteLength(token)
  bytes.writeUInt32LE(length)
  // Hashing any token would do, at three times the cost of the rest.
  if (length <= USUAL_BYTES) bytes.write(token, 4)
  else createHash('sha512').update(token).digest().copy(bytes, 4)
  return bytes
}

/**
 * Accepts `Authorization: Bearer <token>`, the bare token (as GitLab's registry sends it), and GitLab's `Private-Token`.
 * Every token is compared, in constant time, so the time taken tells nothing.
 */
export const createAuthorize = (tokens: readonly ApiToken[]): Authorize =>
  createFind(tokens.map(({ token, scope }) => ({ token, found: { scope } })))

/** The same for tokens of which each may name a registry. */
export const createAuthorizeSender = (tokens: readonly NotificationToken[]): AuthorizeSender =>
  createFind(
    tokens.map(({ token, registry }, i) => ({
      token,
      found: { token: i, ...(registry !== undefined && { registry }) },
    })),
  )

/** Finds what is known of the token that a request carries. */
const createFind = <Found>(
  tokens: readonly { token: string; found: Found }[],
): ((headers: IncomingHttpHeaders) => Refused | Found) => {
  const accepted = tokens.map(({ token }) => comparable(token))
  return (headers) => {
    const given = tokenIn(headers)
    if (given === undefined) return 'missing'
    const asked = comparable(given)
    // Counted from 1, and computed without a branch that depends on the comparison.
    const at = accepted.reduce((last, token, i) => Math.max(last, Number(timingSafeEqual(token, asked)) * (i + 1)), 0)
    return tokens[at - 1]?.found ?? 'wrong'
  }
}

/** The token a request carries, checked or not. */
export const tokenIn = (headers: IncomingHttpHeaders): string | undefined => {
  const privateToken = headers['private-token']
  const given =
    headers.authorization?.replace(/^Bearer +/i, '') ?? (typeof privateToken === 'string' ? privateToken : '')
  return given === '' ? undefined : given
}
