import { sql } from 'kysely'
import type { Sql } from '../../src/storage/sql/database.js'

/** As if each registry in the inventory had sent events on each day until now: otherwise nothing of it is offered for clean-up. */
export const heardAt = async (db: Sql, at: Date): Promise<void> => {
  const days = `{[0,${Math.floor(at.getTime() / 86_400_000) + 1})}`
  await sql`
    insert into receptions (registry, last_event_at, last_received_at, last_pull_at, events, heard_on, pulls_on)
    select distinct registry, ${at}::timestamptz, ${at}::timestamptz, ${at}::timestamptz, 1, ${days}::int4multirange, ${days}::int4multirange
    from inventory.repositories
    on conflict (registry) do update
      set last_event_at = excluded.last_event_at, last_received_at = excluded.last_received_at, last_pull_at = excluded.last_pull_at,
        late_at = null, heard_on = excluded.heard_on, pulls_on = excluded.pulls_on
  `.execute(db)
}
