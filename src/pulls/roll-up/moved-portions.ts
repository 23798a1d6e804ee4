import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { lockDays } from './rolling-days.js'

/**
 * Counts a portion of a move, in its transaction. It is called only if the portion moved or copied rows, because an erasure repeats
 * its work after each counted portion.
 */
export const countPortion = async (tx: Sql): Promise<void> => {
  await lockDays(tx)
  await sql`select nextval('pulls.portions')`.execute(tx)
}

/** The number of portions moved so far. If it did not change during a read of a table in parts, the read saw all rows. */
export const portionsSoFar = async (tx: Sql): Promise<string> => {
  await lockDays(tx)
  const { rows } = await sql<{ portions: string }>`select last_value::text as portions from pulls.portions`.execute(tx)
  return rows[0]?.portions ?? ''
}
