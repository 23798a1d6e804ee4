import { Kysely, PostgresDialect, sql, type QueryExecutorProvider } from 'kysely'
import type pg from 'pg'
import type { ReadOnlyAnswer, ReadOnlyLimits } from './read-only.js'

/** What a statement of Kysely's `sql` template is executed on: the database or a transaction. */
export type Sql = QueryExecutorProvider

/** A statement for the hot path: its text never changes, so the server prepares it once per connection under its name. */
export type HotStatement = { name: string; text: string }

/** Runs a statement without the cost of building it, which is a fifth of a transaction (docs/decisions/0005). */
export type Run = <Row>(statement: HotStatement, values: unknown[]) => Promise<Row[]>

/** An open transaction. */
export type Transaction = Sql & {
  /** Work need not wait for the answer: should the statement fail, nothing is committed. */
  run: Run
  /** Calls back once the transaction has been committed; never when it was rolled back. */
  afterCommit: (then: () => void) => void
}

/**
 * For the answer of a statement that work does not wait for: should it fail, the transaction fails, and nobody has to look at
 * the answer itself.
 */
export const toldByCommit = <T>(answer: Promise<T>): Promise<T> => {
  answer.catch(() => undefined)
  return answer
}

/** The SQL database, PostgreSQL 14 or newer or the embedded PGlite. */
export type Database = {
  engine: 'postgresql' | 'pglite'
  /** For statements outside a transaction. */
  sql: Kysely<unknown>
  /** The same for jobs whose statements may take minutes. */
  jobs: Kysely<unknown>
  /** Runs work in one transaction, for which a registry waits: all of it holds, or none. */
  transaction: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>
  /** The same for a job, for which nobody waits. */
  jobTransaction: Database['transaction']
  /** Runs one statement in a transaction of its own, for which a registry waits. */
  run: Run
  /** Runs one query of an operator in a transaction that can write nothing. */
  readOnly: (text: string, limits: ReadOnlyLimits) => Promise<ReadOnlyAnswer>
  /**
   * Removes what deleted and replaced rows of tables (`schema.name`) left in the files of the database, as far as the engine can:
   * the embedded database completely, its log included; PostgreSQL only frees the space for other rows.
   * @returns the tables that are too large: the embedded database rewrites them at its next start, autovacuum treats them
   */
  eraseTraces: (tables: readonly string[]) => Promise<string[]>
  /** The server's version, as `15.18`. */
  version: () => Promise<string>
  close: () => Promise<void>
}

type Query = (query: string | pg.QueryConfig) => Promise<pg.QueryResult>

/**
 * A transaction on one connection of the pool. `begin` and `commit` are sent without waiting for the answers of what went
 * before: on a pipelining connection that saves two round trips of three, and a registry waits for each of them. A statement
 * that fails makes PostgreSQL turn the commit into a rollback.
 */
export const transactionOn =
  (pool: pg.Pool): Database['transaction'] =>
  async (work) => {
    const client = await pool.connect()
    const query = queryOn(client)
    const sent: Promise<unknown>[] = []
    const failures: unknown[] = []
    const committed: (() => void)[] = []
    let open = true
    const send: Query = (asked) => {
      // Work that failed in one part may go on in another; the connection is somebody else's by then.
      if (!open) return Promise.reject(new Error('the transaction has ended'))
      const answer = query(asked)
      answer.catch((error: unknown) => failures.push(error))
      sent.push(answer)
      return answer
    }
    let kysely: Kysely<unknown> | undefined
    const tx: Transaction = {
      getExecutor: () => (kysely ??= kyselyOn(send)).getExecutor(),
      run: <Row>({ name, text }: HotStatement, values: unknown[]) =>
        toldByCommit(send({ name, text, values }).then(({ rows }) => rows as Row[])),
      afterCommit: (then) => void committed.push(then),
    }
    try {
      void send('begin')
      const result = await work(tx)
      const commit = send('commit')
      open = false
      await Promise.all(sent)
      if ((await commit).command !== 'COMMIT') throw new Error('the transaction was rolled back')
      for (const then of committed) then()
      return result
    } catch (error) {
      open = false
      if (!isDoubtful(client, failures)) await rollBack(query)
      throw causeOf(error, failures)
    } finally {
      client.release(isDoubtful(client, failures))
    }
  }

/** Who ends a statement that takes too long may meet its rollback: a second one finds nothing in its way. */
const rollBack = async (query: Query): Promise<void> => {
  await query('rollback').catch(async (error: unknown) => {
    if (isCancelled(error)) await query('rollback').catch(() => undefined)
  })
}

/** The first statement that failed takes those after it along, with the connection or without: theirs say less. */
const causeOf = (error: unknown, failures: readonly unknown[]): unknown => {
  if (failures.length > 0 && (failures.includes(error) || sqlState(error) === ABORTED)) {
    return failures.find((failure) => sqlState(failure) !== ABORTED) ?? error
  }
  return error
}

/**
 * After a failure that PostgreSQL did not tell itself, such as a time that ran out, nobody knows what a connection will say
 * next: it is not used again. The embedded database has only the one, and it cannot break.
 */
const isDoubtful = (client: pg.PoolClient, failures: readonly unknown[]): boolean =>
  client.pipeline && failures.some((failure) => sqlState(failure) === undefined)

/** One statement on a connection of the pool: PostgreSQL begins and commits for it. */
export const runOn =
  (pool: pg.Pool): Run =>
  async <Row>({ name, text }: HotStatement, values: unknown[]) => {
    const client = await pool.connect()
    const failures: unknown[] = []
    try {
      return (await queryOn(client)({ name, text, values })).rows as Row[]
    } catch (error) {
      failures.push(error)
      throw error
    } finally {
      client.release(isDoubtful(client, failures))
    }
  }

/** Kysely on one transaction, for its statements that are not hot. */
const kyselyOn = (query: Query): Kysely<unknown> => {
  const connection = {
    query: async (text: string, values: readonly unknown[]) => query({ text, values: [...values] }),
    release: () => undefined,
  }
  const pool = { connect: async () => Promise.resolve(connection as never), end: async () => Promise.resolve() }
  return new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
}

const queues = new WeakMap<pg.PoolClient, Query>()

/** A connection that does not pipeline takes its next query when it has answered the last. */
const queryOn = (client: pg.PoolClient): Query => {
  if (client.pipeline) return (asked) => client.query(asked)
  const known = queues.get(client)
  if (known) return known
  let last: Promise<unknown> = Promise.resolve()
  const queue: Query = (asked) => {
    const answer = last.then(() => client.query(asked))
    last = answer.catch(() => undefined)
    return answer
  }
  queues.set(client, queue)
  return queue
}

/**
 * A connection that breaks fails its statements and is dropped by its pool. It also emits an error, which would end the
 * process if nobody listened.
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

/** What a statement is told after another has failed in its transaction; the other has the reason. */
const ABORTED = '25P02'

/** Codes of Node.js for files and sockets, as EROFS or EPIPE, begin with an E; no class of PostgreSQL does. */
const SQLSTATE = /^[0-9A-DF-Z][0-9A-Z]{4}$/

/** The SQLSTATE of an error from PostgreSQL; undefined for any other error. */
export const sqlState = (error: unknown): string | undefined => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && SQLSTATE.test(code) ? code : undefined
}

/** A refusal of PostgreSQL itself, as for a statement that is wrong. */
export const isRefusal = (error: unknown): error is Error => sqlState(error) !== undefined

/** Disk, memory or another limit of the server was not enough (SQLSTATE class 53), such as `temp_file_limit`. */
export const lacksResources = (error: unknown): error is Error => (sqlState(error) ?? '').startsWith('53')

/** Milliseconds that one statement may take, for which somebody waits; with the embedded database all wait for each. */
export const [LONGEST_ON_SERVER_MS, LONGEST_EMBEDDED_MS] = [30_000, 5_000] as const

/** The limits of statements, for the sentence that says why one was ended. */
export const TIME_LIMITS = `${LONGEST_ON_SERVER_MS / 1000} s with PostgreSQL, ${LONGEST_EMBEDDED_MS / 1000} s with the embedded database`

/** PostgreSQL ended a statement that took too long, or somebody who had the right to. */
export const isCancelled = (error: unknown): boolean => sqlState(error) === '57014'

/** The driver stopped waiting for the answer to a statement (`query_timeout` of pg). */
export const isReadTimeout = (error: Error): boolean =>
  error.constructor.name === 'Error' && error.message === 'Query read timeout'

/** A value that PostgreSQL does not know, such as the name of a time zone (SQLSTATE 22023). */
export const hasInvalidParameter = (error: unknown): boolean => sqlState(error) === '22023'

/** The data itself cannot be stored (SQLSTATE classes 21 to 23 and 54): sending it again will never work. */
export const isContentError = (error: unknown): boolean => /^(21|22|23|54)/.test(sqlState(error) ?? '')

/** A table could not be locked: others use it for longer than `lock_timeout`, or the role of the connection may not. */
export const isLockRefused = (error: unknown): boolean => ['55P03', '42501'].includes(sqlState(error) ?? '')

/** A serialization failure or a deadlock (class 40): the same transaction may well work now. */
export const isConflict = (error: unknown): boolean => (sqlState(error) ?? '').startsWith('40')
