import { sql, type Kysely, type Migration } from 'kysely'

/** Erasures that are in progress or were interrupted: any process that finds an old one finishes it. */
export const notedErasures: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`
      create table pulls.erasures (
        number bigint generated always as identity primary key,
        noted_at timestamptz not null default now(),
        origin text,
        repository text,
        registries text[]
      )
    `.execute(db)
  },
}
