import { sql, type Kysely, type Migration } from 'kysely'

/**
 * Smaller rows for the fold, which reads and writes them with every batch: the requester is a separate text, which is the same for
 * many requests, and chains have a shorter form. Open chains and folded requests are discarded.
 */
const statements = [
  sql`alter table pulls.pending
    add column repository text collate "C", add column origin text collate "C", add column who text`,
  sql`update pulls.pending set
    repository = request::json ->> 'repository', origin = request::json -> 'who' ->> 'origin',
    who = request::json ->> 'who'`,
  sql`alter table pulls.pending
    alter column repository set not null, alter column origin set not null, alter column who set not null`,

  // Folded requests have the columns of pending ones. Numbers continue.
  sql`truncate pulls.requests continue identity`,
  sql`alter table pulls.requests add column who text not null`,

  // No index on columns that change with every batch, and free space in each page for the next version of a row.
  sql`drop index pulls.chains_over`,
  sql`truncate pulls.chains`,
  sql`alter table pulls.chains set (fillfactor = 50, toast_tuple_target = 8160)`,

  // Totals that never decrease, for monitoring. Numbered in the order in which repositories were first seen. Some
  // installations have the table already.
  sql`create table if not exists pulls.totals (
    number int generated always as identity,
    registry text collate "C" not null,
    repository text collate "C" not null,
    invocations bigint not null,
    pulls bigint not null,
    primary key (registry, repository)
  )`,

  // Queries find invocations by repository and start.
  sql`alter table pulls.outcomes drop constraint outcomes_pkey`,
  sql`drop index pulls.outcomes_repository`,
  sql`alter table pulls.outcomes add primary key (registry, repository, at, id)`,
]

export const pullChains: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
