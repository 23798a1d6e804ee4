import { sql, type Kysely, type Migration } from 'kysely'

const statements = [
  // Files of the embedded database that may still contain erased rows. A mark exists until those files were replaced.
  sql`create table erasure_marks (
    what text primary key check (what in ('log', 'dumps')),
    number bigint not null default 1
  )`,
  // Earlier versions replaced these files without a mark, so a failed start left them unchanged. An empty database has no such files.
  sql`insert into erasure_marks (what) select what from (values ('log'), ('dumps')) as marks (what)
    where exists (select from event_ids) or exists (select from inventory.repositories)`,
  // At most one row: the reason why the newest attempt of a dump failed.
  sql`create table dump_failures (failed_at timestamptz primary key, error text not null)`,
]

export const erasureMarks: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
