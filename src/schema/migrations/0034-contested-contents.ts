import { sql, type Kysely, type Migration } from 'kysely'

/**
 * `contested`: two events contradict each other about what this digest contains, and no reading has proved either. The contents,
 * the media type and the size of such a manifest are unknown. Earlier events were not compared, so no existing row is contested.
 */
export const contestedContents: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table inventory.manifests add column contested boolean not null default false`.execute(db)
  },
}
