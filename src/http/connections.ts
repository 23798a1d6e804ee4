import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Why the server refused a connection (all connections are in use), or closed an idle one (nearly all are in use). */
export type DroppedConnection = 'full' | 'idle'

/** If a larger part of the connections is in use, strangers do not keep theirs after an answer. */
const KEPT_FOR_STRANGERS = 1 / 4
/** The part of the connections that stays free: in one turn of the event loop, as many may arrive as the kernel has queued (511). */
const FREE = 1 / 8

/**
 * Keeps connections free for clients with tokens. A stranger is a connection on which no request had a valid token. If more than a
 * quarter of the connections is in use, the answers to strangers close their connections; if less than an eighth is free, the oldest
 * connection of a stranger that waits for no answer is closed for each new one.
 * @param most connections of the server at once
 * @returns a function to call for each request before it is answered
 */
export const limitConnections = (
  server: Server,
  { most, onDropped }: { most: number; onDropped: (why: DroppedConnection) => void },
): ((response: ServerResponse, hasToken: () => boolean) => void) => {
  server.maxConnections = most
  const open = new Set<Socket>()
  /** Strangers, with the number of their unanswered requests. */
  const strangers = new Map<Socket, number>()
  /** Strangers without unanswered requests, the longest idle first. */
  const idle = new Set<Socket>()

  const closeOldest = (): void => {
    const [oldest] = idle
    if (!oldest) return
    idle.delete(oldest)
    oldest.destroy()
    onDropped('idle')
  }

  server.on('connection', (socket: Socket) => {
    if (open.size >= most * (1 - FREE)) closeOldest()
    open.add(socket)
    strangers.set(socket, 0)
    idle.add(socket)
    socket.once('close', () => {
      for (const sockets of [open, strangers, idle]) sockets.delete(socket)
    })
  })
  server.on('drop', () => {
    onDropped('full')
  })

  const answered = (socket: Socket): void => {
    const requests = strangers.get(socket)
    if (requests === undefined) return
    strangers.set(socket, requests - 1)
    if (requests === 1) idle.add(socket)
  }

  return (response, hasToken) => {
    const { socket } = response
    if (!socket) return
    const requests = strangers.get(socket)
    if (requests === undefined) return
    idle.delete(socket)
    if (hasToken()) {
      strangers.delete(socket)
      return
    }
    strangers.set(socket, requests + 1)
    response.once('close', () => {
      answered(socket)
    })
    if (open.size > most * KEPT_FOR_STRANGERS) response.setHeader('connection', 'close')
  }
}
