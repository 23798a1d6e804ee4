import { sql, type Kysely, type Migration } from 'kysely'

/** Removes from folded requests the name that their origin had before its salt changed. */
export const pullPreviousNames: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`
      update pulls.requests set request = (request::jsonb - 'previous')::text where strpos(request, '"previous"') > 0
    `.execute(db)
  },
}
