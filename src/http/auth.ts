import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { NotificationToken } from '../registries/notification-tokens.js'
import type { ApiToken, Scope } from './api-tokens.js'

type Refused = 'missing' | 'wrong'

/** Says whether a request carries one of the API tokens, and the scope of that one. */
export type Authorize = (headers: IncomingHttpHeaders) => Refused | { scope: Scope }

/** Says whether a request carries one of the notification tokens, and which registry that one names, if it does. */
export type AuthorizeSender = (headers: IncomingHttpHeaders) => Refused | { registry?: string }

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
export const createAuthorize = (tokens: readonly ApiToken[]): Authorize => {
  const find = createFindToken(tokens.map(({ token }) => token))
  const scopes = tokens.map(({ scope }) => ({ scope }))
  return (headers) => {
    const found = find(headers)
    return typeof found === 'number' ? (scopes[found] ?? 'wrong') : found
  }
}

/** The same for tokens of which each may name a registry. */
export const createAuthorizeSender = (tokens: readonly NotificationToken[]): AuthorizeSender => {
  const find = createFindToken(tokens.map(({ token }) => token))
  const senders = tokens.map(({ registry }) => (registry === undefined ? {} : { registry }))
  return (headers) => {
    const found = find(headers)
    return typeof found === 'number' ? (senders[found] ?? 'wrong') : found
  }
}

/** Finds the number of the token that a request carries. */
const createFindToken = (tokens: readonly string[]): ((headers: IncomingHttpHeaders) => number | Refused) => {
  const accepted = tokens.map(comparable)
  return (headers) => {
    const given = tokenIn(headers)
    if (given === undefined) return 'missing'
    const asked = comparable(given)
    // Counted from 1, and computed without a branch that depends on the comparison.
    const found = accepted.reduce((at, token, i) => Math.max(at, Number(timingSafeEqual(token, asked)) * (i + 1)), 0)
    return found === 0 ? 'wrong' : found - 1
  }
}

/** The token a request carries, checked or not. */
export const tokenIn = (headers: IncomingHttpHeaders): string | undefined => {
  const privateToken = headers['private-token']
  const given =
    headers.authorization?.replace(/^Bearer +/i, '') ?? (typeof privateToken === 'string' ? privateToken : '')
  return given === '' ? undefined : given
}
