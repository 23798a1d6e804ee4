import type { IncomingHttpHeaders } from 'node:http'

/**
 * The token in the headers of a request, valid or not: `Authorization: Bearer <token>`, the token alone (as GitLab's registry
 * sends it), or GitLab's `Private-Token`.
 */
export const tokenIn = (headers: IncomingHttpHeaders): string | undefined => {
  const privateToken = headers['private-token']
  const given =
    headers.authorization?.replace(/^Bearer +/i, '') ?? (typeof privateToken === 'string' ? privateToken : '')
  return given === '' ? undefined : given
}
