import { sql, type Kysely, type Migration } from 'kysely'

/** Removing old rows reads them by their day, and would read the whole table for each thousand. */
export const eventTimesDay: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create index if not exists event_times_seen_on on event_times (seen_on)`.execute(db)
  },
}
