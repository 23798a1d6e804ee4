import { sql, type RawBuilder } from 'kysely'
import type { Asked } from './asked.js'
import { dimension } from './dimensions.js'
import type { Period } from './period.js'

/** Which outcomes `o` are asked for. */
type Scope = {
  /** The time of an outcome in the time zone that was asked for. */
  local: RawBuilder<unknown>
  /** The first moment, and the first after the last. */
  from: RawBuilder<unknown>
  to: RawBuilder<unknown>
  /** What else has to hold. */
  conditions: RawBuilder<unknown>[]
}

export const scopeOf = ({ filters, timeZone }: Pick<Asked, 'filters' | 'timeZone'>, period: Period): Scope => {
  const { from, to, weekday } = period
  const local = sql`(o.at at time zone ${timeZone}::text)`
  return {
    local,
    from: sql`(${from}::timestamp at time zone ${timeZone}::text)`,
    to: sql`(${to}::timestamp at time zone ${timeZone}::text)`,
    conditions: [
      ...(weekday === undefined ? [] : [sql`extract(isodow from ${local}) = ${weekday}`]),
      ...filters.map(({ dimension: name, values }) => isAnyOf(dimension(name).value(local), values)),
    ],
  }
}

/** Whether a value is one of those that are wanted; one that ends in `*` stands for all that begin so. */
const isAnyOf = (value: RawBuilder<unknown>, wanted: readonly string[]): RawBuilder<unknown> => {
  const exact = wanted.filter((one) => !one.endsWith('*'))
  const beginnings = wanted.filter((one) => one.endsWith('*')).map((one) => one.slice(0, -1))
  const starts = beginnings.map((one) => sql`starts_with(${value}, ${one}::text)`)
  return sql`(${sql.join([sql`${value} = any(${exact}::text[])`, ...starts], sql` or `)})`
}
