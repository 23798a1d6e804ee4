import { sql, type RawBuilder } from 'kysely'
import type { Sql } from './database.js'

/** The largest number of rows that a step deletes or changes, so that other statements do not wait long. */
export const ROWS_AT_ONCE = 10_000

/**
 * Repeats a statement until it affects no rows. A step with fewer rows than the limit is not the last one, because other
 * transactions may delete or change rows at the same time.
 * @param statement deletes or changes at most ROWS_AT_ONCE of the remaining rows
 * @returns the number of rows deleted or changed
 */
export const inSteps = async (db: Sql, statement: RawBuilder<unknown>): Promise<number> =>
  repeatUntilEmpty(async () => Number((await statement.execute(db)).numAffectedRows ?? 0))

/**
 * Repeats a step until it finds no rows.
 * @param step returns its number of rows
 * @returns the number of rows of all steps
 */
export const repeatUntilEmpty = async (step: () => Promise<number>): Promise<number> => {
  for (let total = 0; ;) {
    const rows = await step()
    if (rows === 0) return total
    total += rows
  }
}

/**
 * A step that deletes old rows. If another process changes a row meanwhile, PostgreSQL checks the outer condition for the new version
 * of the row.
 */
export const deleteSome = (
  table: string,
  isOld: RawBuilder<unknown>,
  atOnce = ROWS_AT_ONCE,
): RawBuilder<unknown> => sql`
  delete from ${sql.table(table)} where ctid = any(array(
    select ctid from ${sql.table(table)} where ${isOld} limit ${atOnce}
  )) and ${isOld}
`
