import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Why the server refused a connection (all connections are in use), or closed an idle one (nearly all are in use). */
export type DroppedConnection = 'full' | 'idle'

/** If a larger part of the connections is in use, clients without a token do not keep theirs after an answer. */
const KEPT_WITHOUT_TOKEN = 1 / 4
/** The part of the connections that stays free: in one turn of the event loop, as many may arrive as the kernel has queued (511). */
const FREE = 1 / 8
/** While connections are scarce, a token with a larger part of them does not keep its connections after an answer. */
const KEPT_FOR_ONE = 1 / 4

/** The open connections with one token, or of those without a valid token. */
type Holder = { open: number; /** Those that wait for no answer, the longest idle first. */ idle: Set<Socket> }
type Connection = { holder: Holder; unanswered: number }

/**
 * Keeps connections free for clients with tokens, and for each of them. If more than a quarter of the connections is in use, a response
 * closes its connection if no request of the connection had a valid token. If less than an eighth is free, each new connection closes
 * the oldest one that waits for no response: without a token, else of the token that has most; and a response to a token that has more
 * than a quarter of the connections closes its connection.
 * @param most connections of the server at once
 * @returns a function to call for each request before it is answered, with what finds the token of the request
 */
export const limitConnections = (
  server: Server,
  { most, onDropped }: { most: number; onDropped: (why: DroppedConnection) => void },
): ((response: ServerResponse, tokenOf: () => string | undefined) => void) => {
  server.maxConnections = most
  const connections = new Map<Socket, Connection>()
  const withoutToken: Holder = { open: 0, idle: new Set() }
  const holders = new Map<string, Holder>()
  const isScarce = (): boolean => connections.size >= most * (1 - FREE)

  const closeOldest = (): void => {
    const [oldest] = withoutToken.idle.size > 0 ? withoutToken.idle : largestIdle(holders)
    if (!oldest) return
    leave(oldest)
    oldest.destroy()
    onDropped('idle')
  }

  const leave = (socket: Socket): void => {
    const connection = connections.get(socket)
    if (!connection) return
    connections.delete(socket)
    connection.holder.open--
    connection.holder.idle.delete(socket)
  }

  /** A connection belongs to the first token that it sends. */
  const join = (connection: Connection, token: string | undefined): void => {
    if (connection.holder !== withoutToken || token === undefined) return
    const holder = holders.get(token) ?? { open: 0, idle: new Set() }
    holders.set(token, holder)
    withoutToken.open--
    holder.open++
    connection.holder = holder
  }

  server.on('connection', (socket: Socket) => {
    if (isScarce()) closeOldest()
    connections.set(socket, { holder: withoutToken, unanswered: 0 })
    withoutToken.open++
    withoutToken.idle.add(socket)
    socket.once('close', () => {
      leave(socket)
    })
  })
  server.on('drop', () => {
    onDropped('full')
  })

  const isKept = ({ holder }: Connection): boolean =>
    holder === withoutToken
      ? connections.size <= most * KEPT_WITHOUT_TOKEN
      : !isScarce() || holder.open <= most * KEPT_FOR_ONE

  return (response, tokenOf) => {
    const { socket } = response
    const connection = socket && connections.get(socket)
    if (!connection) return
    connection.holder.idle.delete(socket)
    connection.unanswered++
    if (connection.holder === withoutToken) join(connection, tokenOf())
    if (!isKept(connection)) response.setHeader('connection', 'close')
    response.once('close', () => {
      connection.unanswered--
      if (connection.unanswered === 0 && connections.has(socket)) connection.holder.idle.add(socket)
    })
  }
}

/** The idle connections of the token with most connections that has any. */
const largestIdle = (holders: ReadonlyMap<string, Holder>): ReadonlySet<Socket> => {
  let largest: Holder | undefined
  for (const holder of holders.values())
    if (holder.idle.size > 0 && holder.open > (largest?.open ?? 0)) largest = holder
  return largest?.idle ?? new Set()
}
