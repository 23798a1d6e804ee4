import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { lockDays } from '../roll-up/rolling-days.js'

/** A host under which pulls were recorded, and the name of the registry that it is. */
export type AliasMove = { from: string; to: string }

/** Until the transaction ends, neither is folded, and neither is rolled up. Days before registries, as in the roll-up. */
export const lockBoth = async (tx: Sql, { from, to }: AliasMove): Promise<void> => {
  await lockDays(tx)
  await sql`
    insert into pulls.registries (registry) select unnest(${[from, to].sort()}::text[]) on conflict do nothing
  `.execute(tx)
  await sql`
    select from pulls.registries where registry = any(${[from, to]}::text[]) order by registry for update
  `.execute(tx)
}
