import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { vacuumOn } from './erase-traces.js'
import { leaveStandby } from './leave-standby.js'
import { readOnlyOn } from './read-only.js'
import { LONGEST_ON_SERVER_MS, serverVersion, surviveLostConnections, type Database } from './database.js'
import { runOn, transactionOn } from './pool-transactions.js'
import { CopyCursor } from './copy-cursor.js'
import { createLosses, type NoticedLosses } from './losses.js'
import { nameErrorsOf } from './postgres-errors.js'

/** Registries wait half a second to a few seconds for an answer. If two statements and a commit take longer, the server is unavailable. */
const WRITE_TIMEOUT_MS = 2_000
/** For all other statements, so that a server that hangs does not block reports and jobs for ever. */
const READ_TIMEOUT_MS = LONGEST_ON_SERVER_MS
/** For jobs that read all data. No client waits for them. */
const JOB_TIMEOUT_MS = 15 * 60_000
/**
 * The time between the two limits of a statement. The client's limit is the shorter one if a registry waits. Otherwise the
 * server's limit is the shorter one, because its error has the reason.
 */
const GRACE_MS = 500
/**
 * The server has a limit, too: otherwise it would continue a statement that no client waits for, and keep its locks. `jit` is off
 * because compiling takes longer than any of our statements. These are statements, because poolers refuse connection parameters.
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
 * The start time of the server identifies it: another server, or the same one after a restart, has another start time. An epoch
 * is the same text in every time zone.
 */
const STARTED = 'select extract(epoch from pg_postmaster_start_time())::text as started'

/** A new connection is not used until its time limit is set and its server is identified. */
const opening = (losses: NoticedLosses, timeoutMs: number): Pick<pg.PoolConfig, 'verify'> => {
  const limited = (text: string): pg.QueryConfig => Object.assign({ text }, { query_timeout: WRITE_TIMEOUT_MS })
  const open = async (client: pg.PoolClient): Promise<void> => {
    await client.query(limited(settingsFor(timeoutMs))).catch(() => undefined)
    const { rows } = await client.query<{ started: string }>(limited(STARTED))
    losses.reached(client, rows[0]?.started ?? '')
  }
  return {
    verify: (client, done) => {
      open(client).then(() => {
        done()
      }, done)
    },
  }
}

/**
 * Opens a pool for the requests of registries, with a short time limit for each statement. Other work has other pools, so that a
 * long report cannot delay a notification. Connections are opened when they are needed.
 * @param url `postgres://…`, or `postgresql://…`
 */
export const openPostgres = (url: string): Database => {
  const losses = createLosses()
  const connect = connectTo(url)
  const poolOf = (limitMs: number, config: pg.PoolConfig): pg.Pool =>
    new pg.Pool({ ...connect, ...config, ...opening(losses, limitMs) })
  const writers = poolOf(WRITE_TIMEOUT_MS + GRACE_MS, { max: 4, pipeline: true, query_timeout: WRITE_TIMEOUT_MS })
  const readers = poolOf(READ_TIMEOUT_MS, { max: 6, query_timeout: READ_TIMEOUT_MS + GRACE_MS })
  const jobWriters = poolOf(READ_TIMEOUT_MS, { max: 1, pipeline: true, query_timeout: READ_TIMEOUT_MS + GRACE_MS })
  const jobs = poolOf(JOB_TIMEOUT_MS, { max: 2, query_timeout: JOB_TIMEOUT_MS + GRACE_MS })
  // Statements of operators have their own time limit, and may change the state of their session.
  const operators = new pg.Pool({ ...connect, max: 2 })
  // A statement of an operator may break its own connection, which shows nothing about other connections.
  for (const pool of [writers, readers, jobWriters, jobs])
    pool.on('connect', (client) => client.on('error', losses.broke))
  const pools = [writers, readers, jobWriters, jobs, operators]
  for (const pool of pools) {
    surviveLostConnections(pool)
    nameErrorsOf(pool)
  }
  leaveStandby([writers, readers, jobWriters, jobs])
  const running = runningOn(pools)

  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: readers, cursor: CopyCursor }) })
  const jobQueries = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: jobs, cursor: CopyCursor }) })
  return {
    engine: 'postgresql',
    sql: kysely,
    jobs: jobQueries,
    transaction: transactionOn(writers, losses),
    jobTransaction: transactionOn(jobWriters, losses),
    run: runOn(writers, losses),
    losses,
    readOnly: readOnlyOn(operators, 'drop'),
    eraseTraces: vacuumOn(jobQueries),
    version: async () => serverVersion(kysely),
    close: async () => {
      const ended = Promise.all([
        kysely.destroy(),
        jobQueries.destroy(),
        writers.end(),
        jobWriters.end(),
        operators.end(),
      ])
      await cancelUntil(ended, connect, running)
    },
  }
}

/** The connections of pools that are in use. */
const runningOn = (pools: readonly pg.Pool[]): ReadonlySet<pg.PoolClient> => {
  const running = new Set<pg.PoolClient>()
  for (const pool of pools) {
    pool.on('acquire', (client) => running.add(client))
    pool.on('release', (_error, client) => running.delete(client))
  }
  return running
}

/** The time in which running statements may end before they are cancelled. Repeated, because work may start its next statement. */
const CANCEL_EVERY_MS = 500

/**
 * Cancels the statements of connections until the connections have ended. The exit of a process does not end its statements:
 * the server would continue them, and keep their locks, for up to JOB_TIMEOUT_MS.
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
    // The server does not answer, so its statements cannot be cancelled.
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

/** The conditions matter behind a pooler: there, a process id may belong to another client's connection. */
const CANCEL = `
  select pg_cancel_backend(pid) from pg_stat_activity
  where pid = any ($1::int[]) and usename = current_user and datname = current_database() and application_name = 'tallyman'`

/** Runs work without a time limit, such as a migration of large tables. */
export const withoutTimeLimit = async <T>(url: string, work: (db: Kysely<unknown>) => Promise<T>): Promise<T> => {
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
