import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { runOn, serverVersion, surviveLostConnections, transactionOn, type Database } from './database.js'

/** A registry gives an answer half a second to a few; two statements and a commit fit or the server is away. */
const WRITE_TIMEOUT_MS = 2_000
/** For all else, so that a server that hangs does not hold reports and jobs for ever. */
const READ_TIMEOUT_MS = 30_000
const CONNECT_TIMEOUT_MS = 1_500

const connectTo = (url: string): pg.PoolConfig => ({
  connectionString: url,
  application_name: 'tallyman',
  connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  keepAlive: true,
})

/**
 * Opens a pool for what a registry waits for, with a short limit for each statement, and one for everything else, so that a
 * long report cannot hold up a notification. Connections are made when they are needed.
 * @param url `postgres://…`, or `postgresql://…`
 */
export const openPostgres = (url: string): Database => {
  const connect = connectTo(url)
  const writers = new pg.Pool({ ...connect, max: 4, pipeline: true, query_timeout: WRITE_TIMEOUT_MS })
  const readers = new pg.Pool({ ...connect, max: 6, query_timeout: READ_TIMEOUT_MS })
  for (const pool of [writers, readers]) surviveLostConnections(pool)

  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: readers }) })
  return {
    engine: 'postgresql',
    sql: kysely,
    transaction: transactionOn(writers),
    run: runOn(writers),
    version: async () => serverVersion(kysely),
    close: async () => {
      await Promise.all([kysely.destroy(), writers.end()])
    },
  }
}

/** Runs work that may take as long as it needs, as a migration of large tables does. */
export const unhurried = async <T>(url: string, work: (db: Kysely<unknown>) => Promise<T>): Promise<T> => {
  const pool = new pg.Pool({ ...connectTo(url), max: 1 })
  surviveLostConnections(pool)
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  try {
    return await work(kysely)
  } finally {
    await kysely.destroy()
  }
}
