import type { IncomingHttpHeaders } from 'node:http'

/**
 * The token that a request carries, checked or not: `Authorization: Bearer <token>`, the bare token (as GitLab's registry sends it), or
 * GitLab's `Private-Token`.
 */
export const tokenIn = (headers: IncomingHttpHeaders): string | undefined => {
  const privateToken = headers['private-token']
  const given =
    headers.authorization?.replace(/^Bearer +/i, '') ?? (typeof privateToken === 'string' ? privateToken : '')
  return given === '' ? undefined : given
}
