import type { Kysely, QueryExecutor, QueryResult } from 'kysely'
import type { Sql } from '../../src/storage/sql/database.js'

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
  replacing(
    executor,
    'executeQuery',
    async (query, ...rest) =>
      (await see(async () => executor.executeQuery(query, ...rest), query.sql, query.parameters)) as never,
  )

/** A database whose statements outside of transactions have another executor. */
export const withExecutor = (database: Kysely<unknown>, executor: QueryExecutor): Kysely<unknown> =>
  replacing(database, 'getExecutor', () => executor)

/** A database of which the statements in its transactions are seen first. */
export const seeingTransactions = (database: Kysely<unknown>, see: See): Kysely<unknown> => {
  const execute = async <T>(work: (tx: Sql) => Promise<T>): Promise<T> =>
    database.transaction().execute(async (tx) => {
      const executor = seenBy(tx.getExecutor(), see)
      return work({ getExecutor: () => executor })
    })
  return replacing(database, 'transaction', (() => ({ execute })) as unknown as Kysely<unknown>['transaction'])
}

/** The same object with another function under one name. */
const replacing = <T extends object, Name extends keyof T>(object: T, replaced: Name, by: T[Name]): T =>
  new Proxy(object, {
    get: (target, name) => {
      if (name === replaced) return by
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
