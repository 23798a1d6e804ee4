import { sql, type RawBuilder } from 'kysely'

/** No stored sum is larger. Two of these fit into a `bigint`, and JavaScript and PostgreSQL write the number the same. */
export const LARGEST_SUM = 4e18

/**
 * A sum over rows as `bigint`, 0 without rows and at most `LARGEST_SUM`. Clients choose the sizes that they report. A sum that
 * does not fit (SQLSTATE 22003) would end the statement, and with it the work for all registries.
 * @param condition selects the rows to sum; without a condition, all rows
 */
export const clampedSum = (value: RawBuilder<unknown>, condition?: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`least(coalesce(sum(${value})${condition ? sql` filter (where ${condition})` : sql``}, 0), ${sql.lit(LARGEST_SUM)})::bigint`

/** As `clampedSum`, of two numbers that are not negative. */
export const addClamped = (a: number, b: number): number => Math.min(LARGEST_SUM, a + b)
