import { sql, type Kysely, type Migration } from 'kysely'

/** The behaviour of origins, as a dimension by which pulls are grouped. */
const statements = [
  // For each UTC day, the origins with enough invocations in the seven days that end with it. Read and deleted by day.
  sql`create table pulls.behaviours (
    day date not null,
    registry text collate "C" not null,
    repository text collate "C" not null,
    origin text collate "C" not null,
    behaviour text not null,
    likely text not null,
    primary key (registry, day, repository, origin)
  )`,
  sql`alter table pulls.days
    add column behaviour text not null default 'insufficient', add column likely text not null default 'unknown'`,

  // Days that were rolled up before have only one value: their summaries are the totals, and nothing must be rebuilt.
  sql`insert into pulls.summaries (registry, dimension, value, grain, start, invocations, pulls, downloads_confirmed,
      downloads_assumed, platform_pulls, manifest_gets, sessions, pull_by_tag, pull_by_digest, version_check,
      artifact_fetches, orphan_blob_sessions, failed_requests, bytes, origins, endpoints, sources)
    select registry, of.dimension, of.value, grain, start, invocations, pulls, downloads_confirmed,
      downloads_assumed, platform_pulls, manifest_gets, sessions, pull_by_tag, pull_by_digest, version_check,
      artifact_fetches, orphan_blob_sessions, failed_requests, bytes, origins, endpoints, sources
    from pulls.summaries s
      cross join (values ('behaviour', 'insufficient'), ('likely', 'unknown')) of (dimension, value)
    where s.dimension = 'all'`,
]

export const pullBehaviours: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
