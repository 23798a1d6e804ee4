import { sql, type Kysely, type Migration } from 'kysely'

/**
 * Pending renames by registry: runs have a time limit, and alternate between registries. The renames of a path, of which earlier ones
 * go first. The registries in which the list of a manifest would give too many rows, so that its contents are unknown there.
 */
export const boundedSettling: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create index renames_pending on inventory.renames (registry, at, event_id) where carried_at is null`.execute(
      db,
    )
    await sql`create index renames_of on inventory.renames (registry, from_name, at)`.execute(db)
    await sql`alter table inventory.manifests add column withheld_in text[]`.execute(db)
  },
}
