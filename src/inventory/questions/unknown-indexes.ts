import { sql, type RawBuilder } from 'kysely'
import { areEntriesKnownIn, isKnownIn, mediaTypeIn, registryOf } from '../model/known-in.js'
import { mayBeIndex } from './indexes-above.js'
import type { QueryParameters } from './question.js'
import { isIndexType, isSelected } from './sql-parts.js'

type Part = RawBuilder<unknown>

const isNeverObserved = (repositoryId: Part, digest: Part): Part => sql`not exists (
  select from inventory.repository_manifests known
  where known.repository_id = ${repositoryId} and known.digest = ${digest} offset 0
)`

/** With only one registry, no other registry can have stated a media type. */
const hasSeveralRegistries: Part = sql`(select min(registry) <> max(registry) from inventory.repositories)`

/** Entries that are read of an index that no event showed. The other entries of a longer one are unknown. */
export const MOST_NESTED = 500

/**
 * Entries of one repository that are read to find indexes that no event showed, and the same number of what these list. Real
 * repositories have few. If there are more, everything in the repository is unknown: the digests may be made up, so that
 * indexes list each other.
 */
export const MOST_IN_REPOSITORY = 10_000

/** Entries that are read of all repositories of a query: the same indexes may be in each of them. */
const MOST_IN_ALL = 50_000

/**
 * Rows of `found (repository_id, entries, …)` with `is_cut`: whether the repository has more entries than are read. The value is
 * the same for all rows of a repository.
 * @param mostInAll the largest number of entries that are read in all repositories together
 */
export const withCut = (found: Part, mostInAll: number = MOST_IN_ALL): Part => sql`
    select *, of_repository > ${MOST_IN_REPOSITORY} or of_all > ${mostInAll} as is_cut
    from (
      select *, sum(case when of_repository <= ${MOST_IN_REPOSITORY} then entries end) over (order by repository_id) as of_all
      from (select *, sum(entries) over (partition by repository_id) as of_repository from (${found}) found) each
    ) summed`

/** Indexes with the number of their entries to read. */
const indexesToRead: Part = sql`
    select manifest_digest as digest, null::text[] as completed_by, count(*) as entries
    from inventory.manifest_children where ${mayBeIndex(sql`media_type`)}
    group by manifest_digest
    union all
    -- Another registry stated fields of the entries: an image according to that registry may be an index in this repository.
    select m.digest, m.completed_by, (
      select count(*) from (
        select from inventory.manifest_children where manifest_digest = m.digest limit ${MOST_IN_REPOSITORY + 1}
      ) c
    )
    from (select digest, completed_by from inventory.manifests where not (stated_by <@ completed_by) offset 0) m
    where ${hasSeveralRegistries}`

/**
 * The start of a query about indexes that no event showed in their repository, and that a live index lists. It reads all
 * entries that may be indexes, which are few, and looks up each:
 * - `roots (repository_id, digest, is_cut)`: live indexes with such entries; those that are cut are not read;
 * - `unobserved (repository_id, digest, root)`: entries that no event showed, with the live index as `root`;
 * - `lists (repository_id, digest, is_cut)`: each of these once;
 * - `nested (repository_id, digest, child, media_type)`: the entries of the lists that are not cut. They are not followed any
 *   deeper: digests in events may be made up, so that such indexes list each other.
 */
const unobservedIndexes = (isWanted: (repositoryId: Part) => Part): Part => sql`
  with roots as materialized (${withCut(sql`
      select i.repository_id, x.digest, x.completed_by, x.entries
      from (${indexesToRead} offset 0) x
        cross join lateral (
          select o.repository_id from inventory.repository_manifests o
          where o.digest = x.digest and o.live and ${isWanted(sql`o.repository_id`)} offset 0
        ) i
      where x.completed_by is null
        or (select registry from inventory.repositories where id = i.repository_id) <> all(x.completed_by)`)}
  ), unobserved as materialized (
    select distinct r.repository_id, c.digest, r.digest as root
    from roots r cross join lateral (
      select digest, media_type from inventory.manifest_children where manifest_digest = r.digest offset 0
    ) c
    where not r.is_cut and (r.completed_by is not null or ${mayBeIndex(sql`c.media_type`)})
      and ${isNeverObserved(sql`r.repository_id`, sql`c.digest`)}
  ), lists as materialized (${withCut(sql`
      select u.repository_id, u.digest, (
        select count(*) from (
          select from inventory.manifest_children where manifest_digest = u.digest limit ${MOST_NESTED + 1}
        ) c
      ) as entries
      from (select distinct repository_id, digest from unobserved) u`)}
  ), nested as materialized (
    select l.repository_id, l.digest, c.digest as child,
      case when (
        select ${areEntriesKnownIn(sql`m`, registryOf(sql`l.repository_id`))} from inventory.manifests m where m.digest = l.digest
      ) then c.media_type end as media_type
    from lists l
      cross join lateral (
        select digest, media_type from inventory.manifest_children where manifest_digest = l.digest
        order by position limit ${MOST_NESTED}
      ) c
    where not l.is_cut
  )`

/**
 * Indexes of `unobserved` that lead to something unknown: `repository_id`, `digest`. A full join never compares each row with
 * each, whatever the statistics of PostgreSQL are.
 */
const notFollowed = sql`
    select repository_id, digest from lists where is_cut or entries > ${MOST_NESTED}
    union all
    select n.repository_id, n.digest
    from (
      select n.*, l.digest as listed
      from nested n full join lists l on l.repository_id = n.repository_id and l.digest = n.child
      offset 0
    ) n
    where n.child is not null and n.listed is null and ${mayBeIndex(sql`n.media_type`)} and ${isNeverObserved(sql`n.repository_id`, sql`n.child`)}`

/**
 * Manifests of unknown contents that may be indexes although other registries stated the type of an image. The summary shows
 * which repositories have manifests that may be indexes: other repositories are not read.
 */
const typedElsewhere = (query: QueryParameters): Part => sql`
    select i.repository_id, i.digest
    from inventory.repository_totals t
      join inventory.repositories r on r.id = t.repository_id
      join inventory.repository_manifests i on i.repository_id = t.repository_id
      join inventory.manifests u on u.digest = i.digest
    where ${hasSeveralRegistries} and t.unknown_indexes > 0 and i.live and not u.contents_known and u.media_type is not null and not ${isIndexType(sql`u.media_type`)}
      and ${mediaTypeIn(sql`u`, sql`r.registry`)} is null and not ${isKnownIn(sql`u`, sql`r.registry`)}
      and ${isSelected(sql`t.repository_id`, query)}`

/**
 * Live manifests of unknown contents that may be indexes, and live indexes that lead to one, as `repository_id`, `digest`. Each
 * may list any manifest of its repository. They are few, and partial indexes of the tables have only them.
 */
export const unknownIndexes = (query: QueryParameters): Part => {
  const unread = (type: Part): Part => sql`
    select i.repository_id, i.digest
    from inventory.manifests u
      join inventory.repository_manifests i on i.digest = u.digest
      join inventory.repositories r on r.id = i.repository_id
    where not u.contents_known and ${type} and i.live and not ${isKnownIn(sql`u`, sql`r.registry`)}
      and ${isSelected(sql`i.repository_id`, query)}`
  return sql`(
    ${unread(isIndexType(sql`u.media_type`))}
    union all ${unread(sql`u.media_type is null`)}
    union all ${typedElsewhere(query)}
    union all (
      ${unobservedIndexes((id) => isSelected(id, query))}, uncertain as (
        select u.repository_id, u.digest
        from lists u
          join inventory.repositories r on r.id = u.repository_id
          left join inventory.manifests m on m.digest = u.digest
        where ${isKnownIn(sql`m`, sql`r.registry`)} is not true and ${mayBeIndex(mediaTypeIn(sql`m`, sql`r.registry`))}
        union all ${notFollowed}
      )
      select distinct repository_id, root
      from (
        select u.repository_id, u.root, x.digest
        from unobserved u full join uncertain x on x.repository_id = u.repository_id and x.digest = u.digest
        offset 0
      ) u
      where root is not null and digest is not null
      union all select repository_id, digest from roots where is_cut
    )
  )`
}
