import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { lockDays } from './rolling-days.js'

/** Counts a portion of a move that moved or copied rows, in its transaction. One that found none is not counted: an erasure would wait for it. */
export const countPortion = async (tx: Sql): Promise<void> => {
  await lockDays(tx)
  await sql`select nextval('pulls.portions')`.execute(tx)
}

/** How many portions were moved so far. If two answers are equal, no row was moved between them: a read of a table in parts saw all rows. */
export const portionsSoFar = async (tx: Sql): Promise<string> => {
  await lockDays(tx)
  const { rows } = await sql<{ portions: string }>`select last_value::text as portions from pulls.portions`.execute(tx)
  return rows[0]?.portions ?? ''
}
