import { Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import {
  awaitedByCommit,
  isCancelled,
  sqlState,
  type Database,
  type HotStatement,
  type PreparedAt,
  type Transaction,
} from './database.js'
import { ConnectionLost, NO_LOSSES, type Losses, type NoticedLosses } from './losses.js'

type Query = (query: string | pg.QueryConfig) => Promise<pg.QueryResult>

/**
 * A transaction on one connection of the pool. `begin` and `commit` are sent without waiting for the previous answers. On a
 * pipelining connection that saves two of three round trips, and a registry waits for each. If a statement fails, PostgreSQL
 * turns the commit into a rollback.
 */
export const transactionOn =
  (pool: pg.Pool, losses = NO_LOSSES): Database['transaction'] =>
  async (work, preparedAt) => {
    const client = await connectionFor(pool, losses, preparedAt)
    const begunAt = losses.count()
    const query = queryOn(client)
    const sent: Promise<unknown>[] = []
    const failures: unknown[] = []
    const committed: (() => void)[] = []
    let open = true
    const send: Query = (config) => {
      // If one part of the work fails, another part may still run, when another transaction already uses the connection.
      if (!open) return Promise.reject(new Error('the transaction has ended'))
      const answer = query(config)
      answer.catch((error: unknown) => failures.push(error))
      sent.push(answer)
      return answer
    }
    let kysely: Kysely<unknown> | undefined
    const tx: Transaction = {
      getExecutor: () => (kysely ??= kyselyOn(send)).getExecutor(),
      run: <Row>({ name, text }: HotStatement, values: unknown[]) =>
        awaitedByCommit(send({ name, text, values }).then(({ rows }) => rows as Row[])),
      afterCommit: (then) => void committed.push(then),
    }
    try {
      void send('begin')
      const result = await work(tx)
      refuseIfLost(losses, preparedAt)
      const commit = send('commit')
      open = false
      await Promise.all(sent)
      if ((await commit).command !== 'COMMIT') throw new Error('the transaction was rolled back')
      if (losses.count() === begunAt) for (const then of committed) then()
      return result
    } catch (error) {
      open = false
      if (!isDoubtful(client, failures)) await rollBack(query)
      throw causeOf(error, failures)
    } finally {
      client.release(isDoubtful(client, failures))
    }
  }

/**
 * A connection to the server that the work was prepared for.
 * @throws ConnectionLost
 */
const connectionFor = async (pool: pg.Pool, losses: NoticedLosses, preparedAt?: PreparedAt): Promise<pg.PoolClient> => {
  const client = await pool.connect()
  if (!losses.isCurrent(client)) {
    client.release(true)
    return connectionFor(pool, losses, preparedAt)
  }
  try {
    refuseIfLost(losses, preparedAt)
    return client
  } catch (error) {
    client.release()
    throw error
  }
}

const refuseIfLost = (losses: Losses, preparedAt = losses.count()): void => {
  if (preparedAt !== losses.count()) throw new ConnectionLost()
}

/** A cancellation that is meant for a slow statement may hit the rollback instead. Then the rollback is repeated once. */
const rollBack = async (query: Query): Promise<void> => {
  await query('rollback').catch(async (error: unknown) => {
    if (isCancelled(error)) await query('rollback').catch(() => undefined)
  })
}

/** The SQLSTATE of a statement after another one failed in its transaction. The error of the other one has the reason. */
const ABORTED = '25P02'

/** The error of the first failed statement: all later statements of the transaction fail, too, with less specific errors. */
const causeOf = (error: unknown, failures: readonly unknown[]): unknown => {
  if (failures.length > 0 && (failures.includes(error) || sqlState(error) === ABORTED)) {
    return failures.find((failure) => sqlState(failure) !== ABORTED) ?? error
  }
  return error
}

/**
 * After a failure that PostgreSQL did not report, such as a timeout, the state of the connection is unknown. So the connection is
 * not used again. The embedded database has only one connection, and it cannot break.
 */
const isDoubtful = (client: pg.PoolClient, failures: readonly unknown[]): boolean =>
  client.pipeline && failures.some((failure) => sqlState(failure) === undefined)

/** Runs one statement on a connection of the pool. PostgreSQL itself begins and commits the transaction. */
export const runOn =
  (pool: pg.Pool, losses = NO_LOSSES): Database['run'] =>
  async <Row>({ name, text }: HotStatement, values: unknown[], preparedAt?: PreparedAt) => {
    const client = await connectionFor(pool, losses, preparedAt)
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

/** Kysely on one transaction, for statements that are not on the hot path. */
const kyselyOn = (query: Query): Kysely<unknown> => {
  const connection = {
    query: async (text: string, values: readonly unknown[]) => query({ text, values: [...values] }),
    release: () => undefined,
  }
  const pool = { connect: async () => Promise.resolve(connection as never), end: async () => Promise.resolve() }
  return new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
}

const queues = new WeakMap<pg.PoolClient, Query>()

/** A connection without pipelining gets its next query after the answer to the previous one. */
const queryOn = (client: pg.PoolClient): Query => {
  if (client.pipeline) return (config) => client.query(config)
  const known = queues.get(client)
  if (known) return known
  let last: Promise<unknown> = Promise.resolve()
  const queue: Query = (config) => {
    const answer = last.then(() => client.query(config))
    last = answer.catch(() => undefined)
    return answer
  }
  queues.set(client, queue)
  return queue
}
