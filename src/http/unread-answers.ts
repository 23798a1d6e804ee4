import type { RequestHandler } from 'express'

const UNREAD_LIMIT_MS = 30_000

/**
 * Closes the connection of a client that does not read its answer. The whole answer waits for such a client in memory.
 * @param limitMs so long an answer may make no progress once all of it was made
 */
export const dropUnread =
  (limitMs = UNREAD_LIMIT_MS): RequestHandler =>
  (request, response, next) => {
    response.once('prefinish', () => request.socket.setTimeout(limitMs))
    next()
  }
