/**
 * Losses of connections to the database. A loss may mean that the database lost data, too: by a failover, a restore or a restart.
 */
export type Losses = {
  /** The number of losses so far. */
  count: () => number
  /**
   * Registers a callback for each loss, which runs before a newer connection is used. It must drop all knowledge of what is
   * stored: the next server may not have it.
   */
  onLoss: (drop: () => void) => void
}

/** Losses, as the connections of the pools report them. */
export type NoticedLosses = Losses & {
  /** A connection broke. */
  broke: () => void
  /** A new connection reached a server. It may be another server, even if no open connection broke. */
  reached: (connection: object, server: string) => void
  /** Whether a connection was made after the last loss. An older one may still reach the previous server. */
  isCurrent: (connection: object) => boolean
}

/** For a database that cannot be replaced while the process runs: the embedded one. */
export const NO_LOSSES: NoticedLosses = {
  count: () => 0,
  onLoss: () => undefined,
  broke: () => undefined,
  reached: () => undefined,
  isCurrent: () => true,
}

/**
 * A connection was lost after the work was prepared, so the database may lack data that the work assumes. If the sender retries,
 * the work is prepared again.
 */
export class ConnectionLost extends Error {
  /** The SQLSTATE of a broken connection: `isStorageUnavailable` and `storeOf` recognise it. */
  readonly code = '08006'
  constructor() {
    super('a connection to PostgreSQL was lost while a write was prepared; send the request again')
  }
}

export const createLosses = (): NoticedLosses => {
  let count = 0
  let last: { server: string; count: number } | undefined
  const drops: (() => void)[] = []
  /** The number of losses when each connection was opened. */
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
      // Right after a loss, another server is expected, and is not a second loss.
      if (last && last.server !== server && last.count === count) broke()
      last = { server, count }
      madeAt.set(connection, count)
    },
    isCurrent: (connection) => madeAt.get(connection) === count,
  }
}
