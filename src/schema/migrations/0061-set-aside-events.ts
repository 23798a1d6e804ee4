import { sql, type Kysely, type Migration } from 'kysely'

const statements = [
  // A repository with events that were set aside. It need not be in the inventory, because such events count for nothing. `arrived_at`:
  // the arrival of the newest one, with its reason. `changed_at`: of the newest one that may be no pull.
  sql`create table inventory.set_aside_events (
    registry text collate "C" not null,
    name text collate "C" not null,
    arrived_at timestamptz not null,
    changed_at timestamptz,
    reason text not null,
    primary key (registry, name)
  )`,
]

export const setAsideEvents: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
