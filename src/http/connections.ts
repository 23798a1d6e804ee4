import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Why the server refused a connection (all connections are in use), or closed an idle one (nearly all are in use). */
export type DroppedConnection = 'full' | 'idle'

/** If a larger part of the connections is in use, strangers do not keep theirs after an answer. */
const KEPT_FOR_STRANGERS = 1 / 4
/** The part of the connections that stays free: in one turn of the event loop, as many may arrive as the kernel has queued (511). */
const FREE = 1 / 8
/** If a larger part of the connections has one token, and as many as that are in use by others, they are not kept after an answer. */
const KEPT_FOR_ONE = 1 / 4

/** Those who sent no valid token. */
const STRANGERS = ''

/** The open connections of one token, or of strangers. */
type Holder = { open: number; /** Those that wait for no answer, the longest idle first. */ idle: Set<Socket> }
type Connection = { holder: Holder; unanswered: number }

/**
 * Keeps connections free for clients with tokens, and for each of them. A stranger is a connection on which no request had a valid
 * token. If more than a quarter of the connections is in use, the answers to strangers close their connections. If less than an eighth
 * is free, each new connection closes the oldest one that waits for no answer: of a stranger, else of the token that has most; and the
 * answers to a token that has more than a quarter of the connections close theirs.
 * @param most connections of the server at once
 * @returns a function to call for each request before it is answered, with what finds the token of the request
 */
export const limitConnections = (
  server: Server,
  { most, onDropped }: { most: number; onDropped: (why: DroppedConnection) => void },
): ((response: ServerResponse, tokenOf: () => string | undefined) => void) => {
  server.maxConnections = most
  const connections = new Map<Socket, Connection>()
  const strangers: Holder = { open: 0, idle: new Set() }
  const holders = new Map([[STRANGERS, strangers]])
  const isScarce = (): boolean => connections.size >= most * (1 - FREE)

  const closeOldest = (): void => {
    const [oldest] = strangers.idle.size > 0 ? strangers.idle : largestIdle(holders)
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
    if (connection.holder !== strangers || token === undefined) return
    const holder = holders.get(token) ?? { open: 0, idle: new Set() }
    holders.set(token, holder)
    strangers.open--
    holder.open++
    connection.holder = holder
  }

  server.on('connection', (socket: Socket) => {
    if (isScarce()) closeOldest()
    connections.set(socket, { holder: strangers, unanswered: 0 })
    strangers.open++
    strangers.idle.add(socket)
    socket.once('close', () => {
      leave(socket)
    })
  })
  server.on('drop', () => {
    onDropped('full')
  })

  const isKept = ({ holder }: Connection): boolean =>
    holder === strangers
      ? connections.size <= most * KEPT_FOR_STRANGERS
      : !isScarce() || holder.open <= most * KEPT_FOR_ONE

  return (response, tokenOf) => {
    const { socket } = response
    const connection = socket && connections.get(socket)
    if (!connection) return
    connection.holder.idle.delete(socket)
    connection.unanswered++
    if (connection.holder === strangers) join(connection, tokenOf())
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
