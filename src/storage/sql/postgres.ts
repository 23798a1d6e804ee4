import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { vacuumOn } from './erase-traces.js'
import { readOnlyOn } from './read-only.js'
import {
  LONGEST_ON_SERVER_MS,
  runOn,
  serverVersion,
  surviveLostConnections,
  transactionOn,
  type Database,
} from './database.js'
import { nameErrorsOf } from './store-of-error.js'

/** A registry gives an answer half a second to a few; two statements and a commit fit or the server is away. */
const WRITE_TIMEOUT_MS = 2_000
/** For all else, so that a server that hangs does not hold reports and jobs for ever. */
const READ_TIMEOUT_MS = LONGEST_ON_SERVER_MS
/** For jobs that read all there is, which nobody waits for. */
const JOB_TIMEOUT_MS = 15 * 60_000
/** Between the one who gives up first and the other: the server on reading, since it says why, and we where a registry waits. */
const GRACE_MS = 500
/**
 * The server gives up, too, or it would go on with what nobody waits for and hold its locks. Compiling a statement takes longer
 * than any of ours. Not as parameters of the connection, which poolers refuse.
 */
const settingsFor = (timeoutMs: number): string => `set statement_timeout = ${timeoutMs}; set jit = off`
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
  const readers = new pg.Pool({ ...connect, max: 6, query_timeout: READ_TIMEOUT_MS + GRACE_MS })
  const folders = new pg.Pool({ ...connect, max: 1, pipeline: true, query_timeout: READ_TIMEOUT_MS + GRACE_MS })
  const jobs = new pg.Pool({ ...connect, max: 2, query_timeout: JOB_TIMEOUT_MS + GRACE_MS })
  // Statements of operators have a limit of their own, and may leave things behind in their session.
  const guests = new pg.Pool({ ...connect, max: 2 })
  const limit = (pool: pg.Pool, timeoutMs: number): void => {
    pool.on('connect', (client) => void client.query(settingsFor(timeoutMs)).catch(() => undefined))
  }
  limit(writers, WRITE_TIMEOUT_MS + GRACE_MS)
  limit(readers, READ_TIMEOUT_MS)
  limit(folders, READ_TIMEOUT_MS)
  limit(jobs, JOB_TIMEOUT_MS)
  const pools = [writers, readers, folders, jobs, guests]
  for (const pool of pools) {
    surviveLostConnections(pool)
    nameErrorsOf(pool)
  }
  const running = runningOn(pools)

  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: readers }) })
  const unhurriedly = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: jobs }) })
  return {
    engine: 'postgresql',
    sql: kysely,
    jobs: unhurriedly,
    transaction: transactionOn(writers),
    jobTransaction: transactionOn(folders),
    run: runOn(writers),
    readOnly: readOnlyOn(guests, 'drop'),
    eraseTraces: vacuumOn(unhurriedly),
    version: async () => serverVersion(kysely),
    close: async () => {
      const ended = Promise.all([kysely.destroy(), unhurriedly.destroy(), writers.end(), folders.end(), guests.end()])
      await cancelUntil(ended, connect, running)
    },
  }
}

/** The connections of pools that somebody uses. */
const runningOn = (pools: readonly pg.Pool[]): ReadonlySet<pg.PoolClient> => {
  const running = new Set<pg.PoolClient>()
  for (const pool of pools) {
    pool.on('acquire', (client) => running.add(client))
    pool.on('release', (_error, client) => running.delete(client))
  }
  return running
}

/** What runs may end by itself for so long; it is cancelled as often, since work that goes on may begin its next statement. */
const CANCEL_EVERY_MS = 500

/**
 * Cancels what runs on connections until they have ended. A process that exits does not end its statements: the server would go
 * on with them, and keep their locks, for up to JOB_TIMEOUT_MS.
 */
const cancelUntil = async (
  ended: Promise<unknown>,
  connect: pg.ClientConfig,
  running: ReadonlySet<pg.PoolClient>,
): Promise<void> => {
  const canceller = new pg.Client({ ...connect, query_timeout: CANCEL_EVERY_MS })
  canceller.on('error', () => undefined)
  let isConnected = false
  try {
    while (!(await endsIn(CANCEL_EVERY_MS, ended))) {
      if (!isConnected) await canceller.connect()
      isConnected = true
      await canceller.query(CANCEL, [[...running].map(processIdOf)])
    }
  } catch {
    // The server does not answer: what runs there is out of reach.
    await ended
  } finally {
    if (isConnected) await canceller.end().catch(() => undefined)
  }
}

const endsIn = async (milliseconds: number, ended: Promise<unknown>): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined
  const pause = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, milliseconds, false)
  })
  return Promise.race([ended.then(() => true), pause]).finally(() => {
    clearTimeout(timer)
  })
}

const processIdOf = (client: pg.PoolClient): number | null =>
  (client as unknown as { processID: number | null }).processID

/** Behind a pooler a process id may be that of somebody else's connection. */
const CANCEL = `
  select pg_cancel_backend(pid) from pg_stat_activity
  where pid = any ($1::int[]) and usename = current_user and datname = current_database() and application_name = 'tallyman'`

/** Runs work that may take as long as it needs, as a migration of large tables does. */
export const unhurried = async <T>(url: string, work: (db: Kysely<unknown>) => Promise<T>): Promise<T> => {
  const pool = new pg.Pool({ ...connectTo(url), max: 1 })
  surviveLostConnections(pool)
  nameErrorsOf(pool)
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  try {
    return await work(kysely)
  } finally {
    await kysely.destroy()
  }
}
