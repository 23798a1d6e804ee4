import { sql, type Kysely, type Migration } from 'kysely'

/** The newest time in which nothing happened in a registry, as far as its events say: whether they were lost cannot be known. */
export const silences: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table receptions add column silent_from timestamptz, add column silent_to timestamptz`.execute(db)
  },
}
