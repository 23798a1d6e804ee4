import { sql, type Kysely, type QueryExecutorProvider } from 'kysely'
import type pg from 'pg'
import type { Losses } from './losses.js'
import type { ReadOnlyAnswer, ReadOnlyLimits } from './read-only.js'

/** The target of a statement of Kysely's `sql` template: the database or a transaction. */
export type Sql = QueryExecutorProvider

/** A statement for the hot path: its text never changes, so the server prepares it once per connection under its name. */
export type HotStatement = { name: string; text: string }

/** Runs a statement without the cost of building its text, which is a fifth of a transaction (docs/decisions/0005). */
export type Run = <Row>(statement: HotStatement, values: unknown[]) => Promise<Row[]>

/**
 * The count of losses when work was prepared, if the work used data that a process remembers of the database. If a connection was
 * lost since, nothing is written, and the call throws ConnectionLost.
 */
export type PreparedAt = number

/** An open transaction. */
export type Transaction = Sql & {
  /** The caller need not await the result: if the statement fails, the transaction is not committed. */
  run: Run
  /** Registers a callback that runs after the commit, and does not run after a rollback, or if a connection was lost meanwhile. */
  afterCommit: (then: () => void) => void
}

/**
 * Marks the result of a statement as awaited by the commit, so that the caller need not await it. If the statement fails, the
 * transaction fails with its error; without this mark, the rejected promise would be unhandled and end the process.
 */
export const awaitedByCommit = <T>(answer: Promise<T>): Promise<T> => {
  answer.catch(() => undefined)
  return answer
}

/** The SQL database, PostgreSQL 14 or newer or the embedded PGlite. */
export type Database = {
  engine: 'postgresql' | 'pglite'
  /** For statements outside a transaction. */
  sql: Kysely<unknown>
  /** As `sql`, for jobs whose statements may take minutes. */
  jobs: Kysely<unknown>
  /**
   * Runs work in one transaction, with the short time limit of requests of a registry.
   * @throws ConnectionLost if a connection was lost since `preparedAt`
   */
  transaction: <T>(work: (tx: Transaction) => Promise<T>, preparedAt?: PreparedAt) => Promise<T>
  /** As `transaction`, with the longer time limit of a job. */
  jobTransaction: Database['transaction']
  /** Runs one statement in its own transaction, with the short time limit of requests of a registry. @throws ConnectionLost */
  run: <Row>(statement: HotStatement, values: unknown[], preparedAt?: PreparedAt) => Promise<Row[]>
  /** Lost connections. At each loss, the process must drop everything that it remembers of the contents of the database. */
  losses: Losses
  /** Runs one query of an operator in a transaction that cannot write. */
  readOnly: (text: string, limits: ReadOnlyLimits) => Promise<ReadOnlyAnswer>
  /**
   * Removes the bytes of deleted and replaced rows of tables (`schema.name`) from the files of the database, as far as the engine
   * can. The embedded database removes them completely, also from its log; PostgreSQL only frees the space for other rows.
   * @returns the tables that are too large: the embedded database rewrites them at its next start, and PostgreSQL's autovacuum
   * frees their space
   */
  eraseTraces: (tables: readonly string[]) => Promise<string[]>
  /** The server's version, for example `15.18`. */
  version: () => Promise<string>
  close: () => Promise<void>
}

/**
 * Keeps the process alive when a connection breaks. The statements of the connection fail and the pool drops it, but it also emits
 * an error, which would end the process without a listener.
 */
export const surviveLostConnections = (pool: pg.Pool): void => {
  const ignore = (): void => undefined
  pool.on('error', ignore)
  pool.on('connect', (client) => client.on('error', ignore))
}

export const serverVersion = async (db: Sql): Promise<string> => {
  const { rows } = await sql<{ version: string }>`select current_setting('server_version') as version`.execute(db)
  return rows[0]?.version.split(' ')[0] ?? 'unknown'
}

/** Codes of Node.js for files and sockets, as EROFS or EPIPE, begin with an E; no class of PostgreSQL does. */
const SQLSTATE = /^[0-9A-DF-Z][0-9A-Z]{4}$/

/** The SQLSTATE of an error from PostgreSQL; undefined for any other error. */
export const sqlState = (error: unknown): string | undefined => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && SQLSTATE.test(code) ? code : undefined
}

/** An error that PostgreSQL itself reported, for example for an invalid statement. */
export const isRefusal = (error: unknown): error is Error => sqlState(error) !== undefined

/** The server lacked disk, memory, or another resource (SQLSTATE class 53), or a limit such as `temp_file_limit` was reached. */
export const lacksResources = (error: unknown): error is Error => (sqlState(error) ?? '').startsWith('53')

/** The time limit of one statement of a request, in milliseconds. In the embedded database all other statements wait for it. */
export const [LONGEST_ON_SERVER_MS, LONGEST_EMBEDDED_MS] = [30_000, 5_000] as const

/** The time limits of statements, as text for error messages. */
export const TIME_LIMITS = `${LONGEST_ON_SERVER_MS / 1000} s with PostgreSQL, ${LONGEST_EMBEDDED_MS / 1000} s with the embedded database`

/** PostgreSQL ended a statement because it took too long, or because an authorised user cancelled it. */
export const isCancelled = (error: unknown): boolean => sqlState(error) === '57014'

/** The driver stopped waiting for the answer to a statement (`query_timeout` in pg). */
export const isReadTimeout = (error: Error): boolean =>
  error.constructor.name === 'Error' && error.message === 'Query read timeout'

/** A value that PostgreSQL does not know, such as the name of a time zone (SQLSTATE 22023). */
export const hasInvalidParameter = (error: unknown): boolean => sqlState(error) === '22023'

/** A key that another row has (SQLSTATE 23505). Another transaction may have stored the row meanwhile; then a retry sees it. */
export const isDuplicateKey = (error: unknown): boolean => sqlState(error) === '23505'

/**
 * The state of the database prevents the change of some rows until it is repaired: a sequence has no further numbers (SQLSTATE 2200H), or
 * other rows conflict (23001, 23503, 23505, 23P01).
 */
export const isStateError = (error: unknown): error is Error =>
  /^(?:2200H|23001|23503|23505|23P01)$/.test(sqlState(error) ?? '')

/** The data itself cannot be stored (SQLSTATE classes 21 to 23 and 54), so a retry can never succeed. */
export const isContentError = (error: unknown): boolean =>
  /^(?:21|22|23|54)/.test(sqlState(error) ?? '') && !isStateError(error)

/** A table could not be locked: it was in use for longer than `lock_timeout`, or the role has no right to lock it. */
export const isLockRefused = (error: unknown): boolean => ['55P03', '42501'].includes(sqlState(error) ?? '')

/** A serialization failure or a deadlock (class 40): a retry of the same transaction may succeed. */
export const isConflict = (error: unknown): boolean => (sqlState(error) ?? '').startsWith('40')
