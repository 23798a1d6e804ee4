import { sql, type RawBuilder } from 'kysely'

/** Whether a value is one of those that are wanted; one that ends in `*` stands for all that begin so. */
export const isAnyOf = (value: RawBuilder<unknown>, wanted: readonly string[]): RawBuilder<unknown> => {
  const exact = wanted.filter((one) => !one.endsWith('*'))
  const beginnings = wanted.filter((one) => one.endsWith('*')).map((one) => one.slice(0, -1))
  const starts = beginnings.map((one) => sql`starts_with(${value}, ${one}::text)`)
  return sql`(${sql.join([sql`${value} = any(${exact}::text[])`, ...starts], sql` or `)})`
}
