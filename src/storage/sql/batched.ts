import type { RawBuilder } from 'kysely'
import type { Sql } from './database.js'

/** Rows that a step deletes or changes at most; so many hold up nobody. */
export const ROWS_AT_ONCE = 10_000

/**
 * Runs a statement again and again until nothing is left for it: a step that finds fewer rows than it may is not the last one, as others
 * may remove or change rows at the same time.
 * @param statement deletes or changes rows, at most ROWS_AT_ONCE of those that are left.
 * @returns rows removed or changed.
 */
export const inSteps = async (db: Sql, statement: RawBuilder<unknown>): Promise<number> =>
  untilNoneIsLeft(async () => Number((await statement.execute(db)).numAffectedRows ?? 0))

/**
 * Does a step again and again until it finds nothing.
 * @param step its number of rows
 * @returns rows of all steps
 */
export const untilNoneIsLeft = async (step: () => Promise<number>): Promise<number> => {
  for (let total = 0; ;) {
    const rows = await step()
    if (rows === 0) return total
    total += rows
  }
}
