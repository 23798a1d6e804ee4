/** What breaks connections to the database, and may take contents with it: a failover, a restore, a restart. */
export type Losses = {
  /** How many were noticed so far. */
  count: () => number
  /**
   * Calls back at each loss, before a newer connection is used. Whoever remembers that something is stored drops it then: the
   * server that answers next may not have it.
   */
  onLoss: (drop: () => void) => void
}

/** Losses, as the connections of pools report them. */
export type NoticedLosses = Losses & {
  /** A connection broke. */
  broke: () => void
  /** A new connection reached a server, which may be another one although no connection broke that was open. */
  reached: (connection: object, server: string) => void
  /** Whether a connection was made after the last loss. An older one may still reach the previous server. */
  isCurrent: (connection: object) => boolean
}

/** Of a database that no other can replace while the process runs, as the embedded one. */
export const NO_LOSSES: NoticedLosses = {
  count: () => 0,
  onLoss: () => undefined,
  broke: () => undefined,
  reached: () => undefined,
  isCurrent: () => true,
}

/** A connection was lost after the work had been prepared: it may lack what was stored before. If it is sent again, it is prepared again. */
export class ConnectionLost extends Error {
  /** The SQLSTATE of a connection that broke: `isStorageUnavailable` and `storeOf` recognise it. */
  readonly code = '08006'
  constructor() {
    super('a connection to PostgreSQL was lost while a write was prepared; it is to be sent again')
  }
}

export const createLosses = (): NoticedLosses => {
  let count = 0
  let last: { server: string; count: number } | undefined
  const drops: (() => void)[] = []
  /** The count at which each connection was made. */
  const madeAt = new WeakMap<object, number>()

  const broke = (): void => {
    count++
    for (const drop of drops) drop()
  }
  return {
    count: () => count,
    onLoss: (drop) => void drops.push(drop),
    broke,
    reached: (connection, server) => {
      // After a loss another server is no news.
      if (last && last.server !== server && last.count === count) broke()
      last = { server, count }
      madeAt.set(connection, count)
    },
    isCurrent: (connection) => madeAt.get(connection) === count,
  }
}
