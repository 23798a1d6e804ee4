import { sql, type Kysely, type Migration } from 'kysely'

/** Since when Redis contains the uuid of the installation, and when a start found that it was gone. */
export const boundSketches: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`
      alter table installation add column sketches_bound_at timestamptz, add column sketches_lost_at timestamptz
    `.execute(db)
  },
}
