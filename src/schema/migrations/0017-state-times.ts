import { sql, type Kysely, type Migration } from 'kysely'

/**
 * Corrections for registries with a wrong clock, and the unchecked part of a reconciliation of a pull-through cache.
 */
const statements = [
  // The time for state of each event whose own time is not trusted: decided when the event first arrives, so that a later
  // repeat changes nothing. Expires with event_ids.
  sql`create table if not exists event_times (id uuid primary key, at timestamptz not null, seen_on date not null default current_date)`,
  sql`create index if not exists event_times_at on event_times (at)`,

  // Clocks that were ahead, of a registry process, or of a registry whose events name no process. floor_at: the newest time
  // for state of an event whose own time was not trusted. ahead_until: the newest own time of an event that was ahead.
  sql`create table if not exists event_clocks (
    name text collate "C" primary key,
    floor_at timestamptz not null,
    ahead_until timestamptz not null
  )`,

  // The objects that a reconciliation of a pull-through cache did not check.
  sql`alter table inventory.reconciliations add column if not exists not_checked jsonb`,
]

export const stateTimes: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
