import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

type Authorization = 'granted' | 'missing' | 'wrong'

/** Says whether a request carries one of the tokens. */
export type Authorize = (headers: IncomingHttpHeaders) => Authorization

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
export const createAuthorize = (tokens: readonly string[]): Authorize => {
  const accepted = tokens.map(comparable)
  return (headers) => {
    const given = tokenIn(headers)
    if (given === undefined) return 'missing'
    const asked = comparable(given)
    return accepted.reduce((found, token) => timingSafeEqual(token, asked) || found, false) ? 'granted' : 'wrong'
  }
}

/** The token a request carries, checked or not. */
export const tokenIn = (headers: IncomingHttpHeaders): string | undefined => {
  const privateToken = headers['private-token']
  const given =
    headers.authorization?.replace(/^Bearer +/i, '') ?? (typeof privateToken === 'string' ? privateToken : '')
  return given === '' ? undefined : given
}
