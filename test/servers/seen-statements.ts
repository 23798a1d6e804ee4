import type { Kysely, QueryExecutor, QueryResult } from 'kysely'
import type { Sql } from '../../src/storage/database.js'

/** What PostgreSQL reports of a statement that took too long. */
export class StatementEnded extends Error {
  readonly code = '57014'
}

/** Sees a statement, and runs it or fails. */
type See = (
  execute: () => Promise<QueryResult<unknown>>,
  text: string,
  parameters: readonly unknown[],
) => Promise<QueryResult<unknown>>

/** A database whose statements outside of transactions are seen first. */
export const seeing = (database: Kysely<unknown>, see: See): Kysely<unknown> =>
  withExecutor(database, seenBy(database.getExecutor(), see))

/** The executor of a database or a transaction, whose statements are seen first. */
export const seenBy = (executor: QueryExecutor, see: See): QueryExecutor =>
  new Proxy(executor, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'executeQuery') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      const execute: QueryExecutor['executeQuery'] = async (query, ...rest) =>
        (await see(async () => target.executeQuery(query, ...rest), query.sql, query.parameters)) as never
      return execute
    },
  })

/** A database whose statements outside of transactions have another executor. */
export const withExecutor = (database: Kysely<unknown>, executor: QueryExecutor): Kysely<unknown> =>
  new Proxy(database, {
    get: (target, name) => {
      if (name === 'getExecutor') return () => executor
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })

/** A database of which the statements in its transactions are seen first. */
export const seeingTransactions = (database: Kysely<unknown>, see: See): Kysely<unknown> =>
  new Proxy(database, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'transaction') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      const execute = async <T>(work: (tx: Sql) => Promise<T>): Promise<T> =>
        target.transaction().execute(async (tx) => {
          const executor = seenBy(tx.getExecutor(), see)
          return work({ getExecutor: () => executor })
        })
      return () => ({ execute })
    },
  })
