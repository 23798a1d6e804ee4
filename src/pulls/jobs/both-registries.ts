import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'
import { lockDays } from './rolling-days.js'

/** A host under which pulls were recorded, and the name of the registry that it is. */
export type Move = { from: string; to: string }

/** Until the transaction ends, neither is folded, and neither is rolled up. Days before registries, as in the roll-up. */
export const lockBoth = async (tx: Sql, { from, to }: Move): Promise<void> => {
  await countPortion(tx)
  await sql`
    insert into pulls.registries (registry) select unnest(${[from, to].sort()}::text[]) on conflict do nothing
  `.execute(tx)
  await sql`
    select from pulls.registries where registry = any(${[from, to]}::text[]) order by registry for update
  `.execute(tx)
}

/** Counts a portion of a move, in its transaction. */
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
