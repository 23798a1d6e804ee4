import { sql, type Kysely, type Migration } from 'kysely'

/**
 * Excerpts had up to 200 characters of a field that is wrong, so perhaps an address or a secret. Which of them have cannot be
 * told. The reason and the detail stay, which name the field.
 */
export const cleanExcerpts: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`update rejected_events set excerpt = '{}' where excerpt <> '{}'`.execute(db)
  },
}
