import { sql, type Kysely, type Migration } from 'kysely'

/**
 * Rows of the previous version in `inventory.tag_lookups`, past lives of tags by look-ups, and the number of unknown subjects.
 */

/** The first delete at or after `life.at` and before `life.next_at` that meets a condition. */
const firstDelete = (which: string) =>
  sql.raw(`(
  select e.at from inventory.changes e
  where e.repository_id = t.repository_id and ${which} and e.action <> 'push'
    and e.at >= life.at and e.at < coalesce(life.next_at, t.pointed_at)
  order by e.at limit 1
)`)

const statements = [
  // The previous version stores HEADs by tag and GETs by digest without a method, and counts both at once. Until its last process
  // has stopped, its rows must not fail. A default alone cannot see the tag.
  sql`create or replace function inventory.complete_lookup() returns trigger language plpgsql as $$
    begin
      new.method := coalesce(new.method, case when new.tag is null then 'GET' else 'HEAD' end);
      new.settled := coalesce(new.settled, true);
      return new;
    end $$`,
  sql`create trigger complete_lookup before insert on inventory.tag_lookups
    for each row when (new.method is null or new.settled is null) execute function inventory.complete_lookup()`,

  // unknown_subjects: live manifests that may refer to another one (their subject), which no registry has shown to Tallyman.
  sql`alter table inventory.repository_totals add column unknown_subjects bigint not null default 0`,
  sql`drop index inventory.repository_totals_unknown`,
  sql`create index repository_totals_unknown on inventory.repository_totals (repository_id)
    where unknown_contents > 0 or unknown_sizes > 0 or unknown_subjects > 0 or undecided_blobs > 0 or undecided_manifests > 0`,

  // Deletes of whole repositories, which are few.
  sql`create index changes_whole_repositories on inventory.changes (repository_id, at)
    where tag is null and digest is null and action <> 'push'`,
  // The rows are the same as in 0014. The newest ended life is found from the newest push backwards, and the delete that ended a
  // life by three look-ups: of the tag, of the digest, of the repository.
  sql`create or replace view regstat.deleted_tags as
    select r.registry || '/' || r.name || ':' || o.name as name, r.registry, r.name as repository, o.name as tag,
      o.digest as manifest_digest, o.pushed, o.pulled, o.deleted
    from (
      select t.repository_id, t.name, t.digest, coalesce(t.pushed_at, t.first_seen_at) as pushed, t.pulled_at as pulled,
        least(
          case when t.deleted_at >= t.pointed_at then t.deleted_at end,
          case when m.deleted_at >= t.pointed_at then m.deleted_at end
        ) as deleted
      from inventory.tags t
        left join inventory.repository_manifests m on m.repository_id = t.repository_id and m.digest = t.digest
      where t.pointed_at <= greatest(t.deleted_at, m.deleted_at)
      union all
      select t.repository_id, t.name, ended.digest, ended.pushed,
        case when t.pulled_at <= ended.deleted then t.pulled_at end, ended.deleted
      from inventory.live_tags t
        cross join lateral (
          select life.digest, life.at as pushed, first.deleted
          from (
            select c.digest, c.at, lag(c.at) over (order by c.at desc) as next_at
            from inventory.changes c
            where c.repository_id = t.repository_id and c.tag = t.name and c.action = 'push'
          ) life
            cross join lateral (select least(
              ${firstDelete('e.tag = t.name')},
              ${firstDelete('e.tag is null and e.digest = life.digest')},
              ${firstDelete('e.tag is null and e.digest is null')}
            ) as deleted offset 0) first
          where first.deleted is not null
          order by life.at desc
          limit 1
        ) ended
    ) o
      join inventory.repositories r on r.id = o.repository_id`,
]

export const lookupsAndViews: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
