import { sql, type Kysely, type Migration } from 'kysely'

/** What questions about pulls over years are answered from, so that nobody adds up all days for them. */
const statements = [
  // All of a registry on a day or in a month, and its part of each value of one dimension, as it is shown. Made from pulls.days,
  // with its numbers and sketches, and to be made from it again at any time.
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
  // One value over time is the primary key, all values in a stretch of time this.
  sql`create index summaries_start on pulls.summaries (registry, dimension, grain, start)`,

  // Which days and months are in pulls.summaries, also those on which there was nothing.
  sql`create table pulls.summarized (
    registry text collate "C" not null,
    grain text collate "C" not null,
    start date not null,
    primary key (registry, grain, start)
  )`,

  // Nobody asks for a day of all registries without naming them any more.
  sql`create index days_registry on pulls.days (registry, day)`,
  sql`drop index pulls.days_day`,

  // A GET of the manifest of an artifact is one of a manifest, too. It was left out before.
  sql`update pulls.days set manifest_gets = manifest_gets + artifact_fetches where artifact_fetches > 0`,
]

export const pullSummaries: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
