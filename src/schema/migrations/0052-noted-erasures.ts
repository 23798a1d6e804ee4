import { sql, type Kysely, type Migration } from 'kysely'

/** Erasures that are under way, or that ended early: whoever finds one that is old finishes it. */
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
