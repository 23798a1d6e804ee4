import { sql, type Kysely, type Migration } from 'kysely'

/** The windows by which requests were joined, and since when. Some installations have the table already. */
export const pullWindows: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create table if not exists pulls.windows (
      from_at timestamptz primary key,
      join_seconds int not null,
      blob_seconds int not null,
      session_seconds int not null
    )`.execute(db)
  },
}
