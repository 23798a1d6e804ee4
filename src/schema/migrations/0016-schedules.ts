import { sql, type Kysely, type Migration } from 'kysely'

/** When each job is due next whose time must not be missed, and by which schedule. It can run twice. */
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
