import { sql } from 'kysely'
import type { Sql } from '../../src/storage/sql/database.js'

/** As if each registry in the inventory had just sent an event: otherwise nothing of it is offered for clean-up. */
export const heardAt = async (db: Sql, at: Date): Promise<void> => {
  await sql`
    insert into receptions (registry, last_event_at, last_received_at, events)
    select distinct registry, ${at}::timestamptz, ${at}::timestamptz, 1 from inventory.repositories
    on conflict (registry) do update
      set last_event_at = excluded.last_event_at, last_received_at = excluded.last_received_at, silent_from = null, silent_to = null
  `.execute(db)
}
