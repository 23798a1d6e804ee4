import { sql, type Kysely, type Migration } from 'kysely'

/** An index of the few manifests with a field of an entry that not every registry stated. Each query for unused images reads them all. */
export const typedUnknowns: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create index manifests_completed_elsewhere on inventory.manifests (digest)
      where not (stated_by <@ completed_by)`.execute(db)
  },
}
