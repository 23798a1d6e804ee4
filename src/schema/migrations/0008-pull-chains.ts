import { sql, type Kysely, type Migration } from 'kysely'

/**
 * What the fold reads and writes with every batch is smaller: who asked is a text of its own, which is the same for many requests,
 * and chains are kept in a shorter form. Chains that are open and requests that were folded are given up.
 */
const statements = [
  sql`alter table pulls.pending
    add column repository text collate "C", add column origin text collate "C", add column who text`,
  sql`update pulls.pending set
    repository = request::json ->> 'repository', origin = request::json -> 'who' ->> 'origin',
    who = request::json ->> 'who'`,
  sql`alter table pulls.pending
    alter column repository set not null, alter column origin set not null, alter column who set not null`,

  // Requests that were folded are those that waited. Numbers go on.
  sql`truncate pulls.requests continue identity`,
  sql`alter table pulls.requests add column who text not null`,

  // No index on what changes with every batch, and room beside each row for its next version.
  sql`drop index pulls.chains_over`,
  sql`truncate pulls.chains`,
  sql`alter table pulls.chains set (fillfactor = 50, toast_tuple_target = 8160)`,

  // What never falls, for those who collect it: numbered in the order in which repositories were heard of. Some
  // installations have it already.
  sql`create table if not exists pulls.totals (
    number int generated always as identity,
    registry text collate "C" not null,
    repository text collate "C" not null,
    invocations bigint not null,
    pulls bigint not null,
    primary key (registry, repository)
  )`,

  // Found by where and when it began, as answers ask for it.
  sql`alter table pulls.outcomes drop constraint outcomes_pkey`,
  sql`drop index pulls.outcomes_repository`,
  sql`alter table pulls.outcomes add primary key (registry, repository, at, id)`,
]

export const pullChains: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
