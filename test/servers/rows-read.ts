import type { QueryExecutor } from 'kysely'
import type { Sql } from '../../src/storage/database.js'

/** A part of a plan, as PostgreSQL explains it. */
type Plan = { 'Actual Rows': number; 'Actual Loops': number; 'Rows Removed by Filter'?: number; Plans?: Plan[] }
type Counted = { isFiltered?: boolean }
const rowsOf = (plan: Plan, counted: Counted): number => {
  const { 'Actual Rows': rows, 'Actual Loops': loops, 'Rows Removed by Filter': removed = 0, Plans = [] } = plan
  const own = rows + (counted.isFiltered === true ? removed : 0)
  return Plans.reduce((sum, part) => sum + rowsOf(part, counted), own * loops)
}

/**
 * A database that notes how many rows the parts of each statement read. Each statement is carried out twice: first to be explained.
 * @param rows receives one number for each statement
 * @param counted whether rows count that a filter left out
 */
export const noting = (database: Sql, rows: number[], counted: Counted = {}): Sql => {
  const executor = database.getExecutor()
  const explaining = new Proxy(executor, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'executeQuery') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      const execute: QueryExecutor['executeQuery'] = async (query, ...rest) => {
        const explained = { ...query, sql: `explain (analyze, format json) ${query.sql}` }
        const { rows: plans } = await target.executeQuery<{ 'QUERY PLAN': [{ Plan: Plan }] }>(explained, ...rest)
        rows.push(plans[0] ? rowsOf(plans[0]['QUERY PLAN'][0].Plan, counted) : NaN)
        return target.executeQuery(query, ...rest)
      }
      return execute
    },
  })
  return { getExecutor: () => explaining }
}
