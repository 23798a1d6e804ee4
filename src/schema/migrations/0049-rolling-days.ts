import { sql, type Kysely, type Migration } from 'kysely'

/**
 * The progress of days of large repositories that are being rolled up in portions. Origins are read in the order of their hashes,
 * outcomes in the order of their key. A row gets a new number when its day is restarted.
 */
export const rollingDays: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create table pulls.rolling_days (
      number bigint generated always as identity,
      registry text collate "C" not null,
      day date not null,
      repository text collate "C" not null,
      stage text not null,
      hashed_to bigint not null,
      read_to_at timestamptz,
      read_to_id text collate "C",
      primary key (registry, day, repository)
    )`.execute(db)
  },
}
