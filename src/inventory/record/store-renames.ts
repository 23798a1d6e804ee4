import { sql } from 'kysely'
import { isoTime } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { storeActors } from './actors.js'
import type { SeenRename } from './observations.js'

/** Stores renames, for carryOutRenames. */
export const storeRenames = async (tx: Sql, renames: readonly SeenRename[]): Promise<void> => {
  if (renames.length === 0) return
  await storeActors(tx, renames)
  const sorted = [...renames].sort((a, b) => (a.event < b.event ? -1 : 1))
  await sql`
    insert into inventory.renames (event_id, registry, what, from_name, to_name, at, actor_id)
    select * from unnest(
      ${sorted.map(({ event }) => event)}::uuid[],
      ${sorted.map(({ registry }) => registry)}::text[],
      ${sorted.map(({ what }) => what)}::text[],
      ${sorted.map(({ from }) => from)}::text[],
      ${sorted.map(({ to }) => to)}::text[],
      ${sorted.map(({ at }) => isoTime(at))}::timestamptz[],
      ${sorted.map(({ actor }) => actor?.id ?? null)}::bigint[]
    )
    on conflict do nothing
  `.execute(tx)
}
