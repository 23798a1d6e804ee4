import type { Kysely, QueryExecutor, QueryResult } from 'kysely'

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
export const seeing = (database: Kysely<unknown>, see: See): Kysely<unknown> => {
  const executor = new Proxy(database.getExecutor(), {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'executeQuery') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      const execute: QueryExecutor['executeQuery'] = async (query, ...rest) =>
        (await see(async () => target.executeQuery(query, ...rest), query.sql, query.parameters)) as never
      return execute
    },
  })
  return new Proxy(database, {
    get: (target, name) => {
      if (name === 'getExecutor') return () => executor
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
