import { sql, type Kysely, type Migration } from 'kysely'

/** The newest period without events of a registry. Whether events of that period were lost is unknown. */
export const silences: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table receptions add column silent_from timestamptz, add column silent_to timestamptz`.execute(db)
  },
}
