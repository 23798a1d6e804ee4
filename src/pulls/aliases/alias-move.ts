import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { lockDays } from '../roll-up/rolling-days.js'

/** A move of pulls from the alias under which they were recorded to the name of the registry. */
export type AliasMove = { from: string; to: string }

/**
 * Locks both names: until the transaction ends, neither is folded or rolled up. Days are locked before registries, in the same order
 * as in the roll-up.
 */
export const lockBoth = async (tx: Sql, { from, to }: AliasMove): Promise<void> => {
  await lockDays(tx)
  await sql`
    insert into pulls.registries (registry) select unnest(${[from, to].sort()}::text[]) on conflict do nothing
  `.execute(tx)
  await sql`
    select from pulls.registries where registry = any(${[from, to]}::text[]) order by registry for update
  `.execute(tx)
}
