import { sql, type Kysely, type Migration } from 'kysely'

/** The next time and the schedule of each job that must not miss a time. This migration can run twice. */
export const schedules: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create table if not exists schedules (
      job text primary key,
      cron text not null,
      time_zone text not null,
      due_at timestamptz not null
    )`.execute(db)
  },
}
