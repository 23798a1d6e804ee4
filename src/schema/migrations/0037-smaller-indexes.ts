import { sql, type Kysely, type Migration, type RawBuilder } from 'kysely'

/**
 * Indexes that each push writes contain four bytes of hash instead of a digest, and begin with the repository: so an installation
 * with small buffers keeps more of them in memory. The views of manifests are the same as in 0014, with the condition that the new
 * index needs.
 */

const manifestLives = sql`
  select digest, died_at, bool_or(live) as live, max(seen_at) as seen_at, max(pushed_at) as pushed_at, min(first_at) as first_at,
    max(pulled_at) as pulled_at, max(pulled_before) as pulled_before, max(told_at) as told_at,
    coalesce(min(first_at) <= died_at, false) as was_seen,
    coalesce(bool_or(live and first_at <= died_at and deleted_at is distinct from died_at), false) as stayed
  from (
    select m.digest, m.live, m.seen_at, m.pushed_at, m.pulled_at, m.deleted_at, m.first_seen_at as first_at, m.died_at,
      case when m.pulled_at <= m.died_at then m.pulled_at end as pulled_before, told.at as told_at
    from (
      select *, max(deleted_at) over (partition by digest) as died_at from inventory.repository_manifests
    ) m
      left join lateral (
        select max(c.at) as at from inventory.changes c
        where m.live and m.died_at is not null and c.repository_id = m.repository_id
          and hashtext(c.digest) = hashtext(m.digest) and c.digest = m.digest and c.action = 'push' and c.at <= m.died_at
      ) told on true
  ) placed
  group by digest, died_at`

const pushed = sql`coalesce(pushed_at, first_at)`

const statements: readonly RawBuilder<unknown>[] = [
  sql`create index changes_digest on inventory.changes (repository_id, hashtext(digest)) where action = 'push'`,
  sql`create or replace view regstat.manifests as
    select digest, ${pushed} as pushed, pulled_at as pulled from (${manifestLives}) o where live`,
  sql`create or replace view regstat.deleted_manifests as
    select digest,
      case when pushed_at <= died_at or not live then ${pushed} else coalesce(told_at, first_at) end as pushed,
      pulled_before as pulled, died_at as deleted
    from (${manifestLives}) o
    where died_at is not null and case when live then was_seen and not stayed else coalesce(seen_at, first_at) is not null end`,
  sql`drop index inventory.changes_digest_hash`,

  sql`create index recent_pushes_hash on inventory.recent_pushes (repository_id, hashtext(reference), at)`,
  sql`drop index inventory.recent_pushes_reference`,
]

export const smallerIndexes: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
