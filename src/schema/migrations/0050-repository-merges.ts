import { sql, type Kysely, type Migration } from 'kysely'

/** Counts the merges of repositories, so that an export notices a merge: rows that move to another registry may be missed. */
export const repositoryMerges: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table registry_identity add column repository_merges bigint not null default 0`.execute(db)
  },
}
