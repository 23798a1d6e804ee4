import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

type Authorization = 'granted' | 'missing' | 'wrong'

/** Says whether a request carries one of the tokens. */
export type Authorize = (headers: IncomingHttpHeaders) => Authorization

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * Accepts `Authorization: Bearer <token>`, the bare token (as GitLab's registry sends it), and GitLab's `Private-Token`.
 * Every token is compared, in constant time, so the time taken tells nothing.
 */
export const createAuthorize = (tokens: readonly string[]): Authorize => {
  const accepted = tokens.map(digest)
  return (headers) => {
    const given = tokenIn(headers)
    if (given === undefined) return 'missing'
    const asked = digest(given)
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
