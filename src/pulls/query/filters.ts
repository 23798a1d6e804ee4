import { sql, type RawBuilder } from 'kysely'
import type { PullsQuery } from './parameters.js'
import type { DimensionName } from '../model/dimensions.js'
import type { Period } from '../model/period.js'

/** SQL expressions for the time and the dimensions of a row. */
export type RowExpressions = {
  /** The time of the row in the time zone of the query. */
  local: RawBuilder<unknown>
  value: (name: DimensionName) => RawBuilder<unknown>
}

/** The moments at which a period begins (inclusive) and ends (exclusive). */
export const momentsOf = (
  { from, to }: Period,
  timeZone: string,
): { from: RawBuilder<unknown>; to: RawBuilder<unknown> } => ({
  from: sql`(${from}::timestamp at time zone ${timeZone}::text)`,
  to: sql`(${to}::timestamp at time zone ${timeZone}::text)`,
})

/** The conditions on a row, except for the range of its time. */
export const conditionsOn = (
  { local, value }: RowExpressions,
  { filters }: Pick<PullsQuery, 'filters'>,
  { weekday }: Period,
): RawBuilder<unknown>[] => [
  ...(weekday === undefined ? [] : [sql`extract(isodow from ${local}) = ${weekday}`]),
  ...filters.map(({ dimension, values }) => isAnyOf(value(dimension), values)),
]

/** Whether a value is in a list; an item that ends in `*` matches all values with that prefix. */
export const isAnyOf = (value: RawBuilder<unknown>, wanted: readonly string[]): RawBuilder<unknown> => {
  const exact = wanted.filter((one) => !one.endsWith('*'))
  const beginnings = wanted.filter((one) => one.endsWith('*')).map((one) => one.slice(0, -1))
  const starts = beginnings.map((one) => sql`starts_with(${value}, ${one}::text)`)
  return sql`(${sql.join([sql`${value} = any(${exact}::text[])`, ...starts], sql` or `)})`
}
