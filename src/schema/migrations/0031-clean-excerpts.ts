import { sql, type Kysely, type Migration } from 'kysely'

/**
 * Excerpts had up to 200 characters of an invalid field, and so possibly an address or a secret. As no rule finds these excerpts, all
 * are removed. The reason and the detail stay; they name the field.
 */
export const cleanExcerpts: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`update rejected_events set excerpt = '{}' where excerpt <> '{}'`.execute(db)
  },
}
