import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** The largest number of queued requests of a connection. Registries and browsers send one request at a time. */
const MOST_QUEUED = 16

type Handle = (request: IncomingMessage, response: ServerResponse) => void

/** A request that waits for the answer to the previous request of its connection. */
type QueuedRequest = { request: IncomingMessage; response: ServerResponse; handle: Handle }

/**
 * Handles the requests of a connection one after the other: each when the answer to the previous one has left this process. So a
 * connection takes the memory of one answer, even if its client sends a thousand requests and reads no answer. A connection with
 * more than 16 queued requests is closed.
 * @returns a function that calls the handler of a request, at once or later
 */
export const answerInOrder = (): ((request: IncomingMessage, response: ServerResponse, handle: Handle) => void) => {
  const connections = new WeakMap<Socket, QueuedRequest[]>()

  const take = (socket: Socket, { request, response, handle }: QueuedRequest): void => {
    response.once('close', () => {
      takeNext(socket)
    })
    handle(request, response)
  }

  const takeNext = (socket: Socket): void => {
    const queue = connections.get(socket)
    const next = queue?.shift()
    if (!next) connections.delete(socket)
    if (!next || socket.destroyed) return
    // Removes the time limit of the previous answer.
    socket.setTimeout(0)
    take(socket, next)
  }

  return (request, response, handle) => {
    const { socket } = request
    // After a connection was closed, requests in its last chunk are still parsed.
    if (socket.destroyed) return
    const queue = connections.get(socket)
    if (!queue) {
      connections.set(socket, [])
      take(socket, { request, response, handle })
    } else if (queue.length < MOST_QUEUED) {
      queue.push({ request, response, handle })
    } else {
      queue.length = 0
      socket.destroy()
    }
  }
}
