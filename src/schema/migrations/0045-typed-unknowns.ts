import { sql, type Kysely, type Migration } from 'kysely'

/** Few manifests: those whose entries have a field that not every registry stated. Each question about unused images reads all of them. */
export const typedUnknowns: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create index manifests_completed_elsewhere on inventory.manifests (digest)
      where not (stated_by <@ completed_by)`.execute(db)
  },
}
