import { sql, type Kysely, type Migration } from 'kysely'

/** Summaries for queries about pulls over years, so that a query need not sum all days. */
const statements = [
  // The totals of a registry on a day or in a month, and the part of each displayed value of one dimension. Computed from
  // pulls.days, with its numbers and sketches, and can be rebuilt from it at any time.
  sql`create table pulls.summaries (
    registry text collate "C" not null,
    dimension text collate "C" not null,
    value text collate "C" not null,
    grain text collate "C" not null,
    start date not null,
    invocations bigint not null,
    pulls bigint not null,
    downloads_confirmed bigint not null,
    downloads_assumed bigint not null,
    platform_pulls bigint not null,
    manifest_gets bigint not null,
    sessions bigint not null,
    pull_by_tag bigint not null,
    pull_by_digest bigint not null,
    version_check bigint not null,
    artifact_fetches bigint not null,
    orphan_blob_sessions bigint not null,
    failed_requests bigint not null,
    bytes bigint not null,
    origins bytea not null,
    endpoints bytea not null,
    sources bytea not null,
    primary key (registry, dimension, value, grain, start)
  )`,
  // The primary key finds one value over time; this index finds all values in a range of time.
  sql`create index summaries_start on pulls.summaries (registry, dimension, grain, start)`,

  // The days and months that are in pulls.summaries, including empty ones.
  sql`create table pulls.summarized (
    registry text collate "C" not null,
    grain text collate "C" not null,
    start date not null,
    primary key (registry, grain, start)
  )`,

  // No query reads a day of all registries without naming them any more.
  sql`create index days_registry on pulls.days (registry, day)`,
  sql`drop index pulls.days_day`,

  // A GET of an artifact's manifest is also a GET of a manifest. Earlier versions did not count it as one.
  sql`update pulls.days set manifest_gets = manifest_gets + artifact_fetches where artifact_fetches > 0`,
]

export const pullSummaries: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
