import { sql, type Kysely, type Migration } from 'kysely'

/** Data to distinguish uses from other requests: pushes that change nothing, checks before a push, and the kinds of clients. */
const statements = [
  // A HEAD of a manifest counts as a check once no push by the same client can follow. Until then the HEAD is pending here, not
  // in the times of the tag and the manifest. Pushes are kept beside the HEADs for a day.
  sql`alter table inventory.tag_lookups
    add column method text collate "C" not null default 'GET',
    add column received_at timestamptz not null default now(),
    add column settled boolean not null default true`,
  sql`update inventory.tag_lookups set method = 'HEAD' where tag is not null`,
  sql`alter table inventory.tag_lookups alter column method drop default, alter column settled drop default`,
  sql`drop index inventory.tag_lookups_gets`,
  sql`drop index inventory.tag_lookups_heads`,
  sql`create index tag_lookups_gets on inventory.tag_lookups (repository_id, digest, origin, at) where method = 'GET'`,
  sql`create index tag_lookups_heads on inventory.tag_lookups (repository_id, digest, origin, tag, at)
    where method = 'HEAD' and tag is not null`,
  sql`create index tag_lookups_pushes on inventory.tag_lookups (repository_id, origin, at) where method = 'PUT'`,
  sql`create index tag_lookups_to_settle on inventory.tag_lookups (at) where not settled`,
  sql`create index tag_lookups_pending_tags on inventory.tag_lookups (repository_id, tag, at) where not settled`,
  sql`create index tag_lookups_pending_digests on inventory.tag_lookups (repository_id, digest, at) where not settled`,

  // A tag that was seen before its newest push: that push may have changed nothing. A column, because an index on the condition
  // itself would slow down every pull.
  sql`alter table inventory.tags add column is_pushed_again boolean not null
    generated always as (coalesce(pushed_at > first_seen_at, false)) stored`,
  // The newest HEAD by name, settled or not. Tags are read in the order of a day that includes it. A HEAD that is part of a push
  // makes no day newer than the push does. active_on replaces used_on, which stays because a view has it.
  sql`alter table inventory.tags add column asked_at timestamptz`,
  sql`alter table inventory.tags add column active_on date generated always as (
    (coalesce(greatest(pushed_at, pulled_at, checked_at, asked_at), first_seen_at) at time zone 'UTC')::date
  ) stored`,
  sql`drop index inventory.tags_used`,
  sql`create index tags_active on inventory.tags (active_on, repository_id, name) where live`,
  sql`create index tags_pushed_again on inventory.tags (coalesce(pushed_at, first_seen_at), repository_id, name)
    where live and is_pushed_again`,
  sql`create index tags_pushed_again_active on inventory.tags (active_on, repository_id, name) where live and is_pushed_again`,
  // The time since when an image has had a tag.
  sql`create index changes_digest on inventory.changes (repository_id, digest, tag, at)`,

  // The newest use and pull of each tag and digest by each kind of client, kept for ever. reference is a tag or a digest.
  sql`create table pulls.last_uses (
    registry text collate "C" not null,
    repository text collate "C" not null,
    reference text collate "C" not null,
    kind text collate "C" not null,
    used_at timestamptz not null,
    pulled_at timestamptz,
    primary key (registry, repository, reference, kind)
  )`,
  // Days have no time of day, and outcomes have the time of their first request. Both are rounded to the later time.
  sql`insert into pulls.last_uses
    select registry, repository, reference, kind, max(at), max(at) filter (where is_pull)
    from (
      select registry, repository, tag, digest, kind, pulls > 0 as is_pull,
        (day + 1)::timestamp at time zone 'UTC' - interval '1 microsecond' as at
      from pulls.days where invocations > 0
      union all
      select registry, repository, tag, digest, kind, gets > 0, at + interval '1 hour'
      from pulls.outcomes where what = 'invocation'
    ) uses cross join lateral (values (tag), (digest)) named (reference)
    where reference is not null
    group by registry, repository, reference, kind`,
  // The time since when every use has a kind: from the beginning, unless the installation is older than pull analytics.
  sql`create table pulls.kinds_known as
    select case when pulls.at - inventory.at < interval '1 hour' then '-infinity' else pulls.at end as from_at
    from (select max(timestamp)::timestamptz as at from kysely_migration where name = '0006-pulls') pulls,
      (select max(timestamp)::timestamptz as at from kysely_migration where name = '0002-inventory') inventory`,
]

export const uses: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
