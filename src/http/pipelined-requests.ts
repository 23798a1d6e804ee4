import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests of a connection that may wait behind the one that is answered. Registries and browsers send one at a time. */
const MOST_WAITING = 16

type Handle = (request: IncomingMessage, response: ServerResponse) => void

/** The requests of one connection: the first is being answered. */
type Waiting = { request: IncomingMessage; response: ServerResponse; handle: Handle }

/**
 * Takes the requests of a connection one after the other: each when the answer to the previous one has left this process. So a
 * connection takes the memory of one answer, even if its client sends a thousand requests and reads nothing. A connection with
 * more than 16 waiting requests is closed.
 * @returns calls the handler of a request, at once or later
 */
export const inTurn = (): ((request: IncomingMessage, response: ServerResponse, handle: Handle) => void) => {
  const connections = new WeakMap<Socket, Waiting[]>()

  const take = (socket: Socket, { request, response, handle }: Waiting): void => {
    response.once('close', () => {
      takeNext(socket)
    })
    handle(request, response)
  }

  const takeNext = (socket: Socket): void => {
    const waiting = connections.get(socket)
    const next = waiting?.shift()
    if (!next) connections.delete(socket)
    if (!next || socket.destroyed) return
    // The limit of the previous answer is none of this request.
    socket.setTimeout(0)
    take(socket, next)
  }

  return (request, response, handle) => {
    const { socket } = request
    // Requests of the last chunk are still parsed after their connection was closed.
    if (socket.destroyed) return
    const waiting = connections.get(socket)
    if (!waiting) {
      connections.set(socket, [])
      take(socket, { request, response, handle })
    } else if (waiting.length < MOST_WAITING) {
      waiting.push({ request, response, handle })
    } else {
      waiting.length = 0
      socket.destroy()
    }
  }
}
