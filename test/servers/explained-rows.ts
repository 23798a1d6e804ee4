import { type QueryExecutor } from 'kysely'
import type { Sql } from '../../src/storage/sql/database.js'
import type { TestStores } from './stores.js'

/** A part of a plan, as PostgreSQL explains it. */
type Plan = {
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  Plans?: Plan[]
}

const rowsOf = (plan: Plan, withRemoved: boolean): number => {
  const removed = withRemoved ? (plan['Rows Removed by Filter'] ?? 0) : 0
  const own = (plan['Actual Rows'] + removed) * plan['Actual Loops']
  return (plan.Plans ?? []).reduce((sum, part) => sum + rowsOf(part, withRemoved), own)
}

/**
 * A database that notes how many rows the parts of each statement return.
 * @param withRemoved also counts rows that a part reads and its filter removes
 */
export const noting = (
  database: TestStores['database']['sql'],
  rows: number[],
  { withRemoved = false }: { withRemoved?: boolean } = {},
): Sql => {
  const executor = database.getExecutor()
  const explaining = new Proxy(executor, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'executeQuery') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      const execute: QueryExecutor['executeQuery'] = async (query, ...rest) => {
        const explained = { ...query, sql: `explain (analyze, format json) ${query.sql}` }
        const { rows: plans } = await target.executeQuery<{ 'QUERY PLAN': [{ Plan: Plan }] }>(explained, ...rest)
        rows.push(plans[0] ? rowsOf(plans[0]['QUERY PLAN'][0].Plan, withRemoved) : NaN)
        return target.executeQuery(query, ...rest)
      }
      return execute
    },
  })
  return { getExecutor: () => explaining }
}
