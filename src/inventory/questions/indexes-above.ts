import { sql, type RawBuilder } from 'kysely'
import { areEntriesKnownIn, isKnownIn, mediaTypeIn, registryOf } from '../known-in.js'
import type { Asked } from './question.js'
import { DEEPEST, IS_CUT, isIndexType, MOST_FOLLOWED, placedIn } from './sql-parts.js'

type Part = RawBuilder<unknown>

/** What a descriptor or a manifest without a media type is, is not known: an index, maybe. */
export const mayBeIndex = (mediaType: Part): Part => sql`(${mediaType} is null or ${isIndexType(mediaType)})`

const isUnheard = (repositoryId: Part, digest: Part): Part => sql`not exists (
  select from inventory.repository_manifests known
  where known.repository_id = ${repositoryId} and known.digest = ${digest} offset 0
)`

/**
 * Whether an index above a manifest in a repository fulfils a condition, or whether there are more than are read. `above (digest, live)`
 * has the indexes that list the manifest, and those that list these, at most MOST_FOLLOWED entries up to the level DEEPEST. An index that no event showed
 * there has no `live`: it is there if an index above it is. Deleted ones lead nowhere.
 * @param found a query of `above`
 */
export const hasIndexAbove = (repositoryId: Part, digest: Part, found: Part): Part => {
  const parents = (of: Part): Part => sql`(
      select manifest_digest from inventory.manifest_children where manifest_children.digest = ${of} offset 0
    ) c
    left join lateral (
      select o.live from inventory.repository_manifests o
      where o.repository_id = ${repositoryId} and o.digest = c.manifest_digest offset 0
    ) parent on true`
  return sql`case
  -- Most manifests are in no index, which one look-up says.
  when not exists (select from inventory.manifest_children where manifest_children.digest = ${digest}) then false
  else exists (
  with recursive listing (digest, live, level) as (
    select c.manifest_digest, parent.live, 1 from ${parents(digest)}
    union all
    select c.manifest_digest, parent.live, level + 1 from listing cross join lateral ${parents(sql`listing.digest`)}
    where listing.live is not false and level <= ${DEEPEST}
  ), followed as materialized (
    select digest, live, level from listing limit ${MOST_FOLLOWED + 1}
  ), above as (select digest, live from followed where live is not false)
  ${found} union all select where ${IS_CUT}
) end`
}

/** Whether a live index lists a manifest in a repository, directly or through others; where that is not known, it does. */
export const isListedByLive = (repositoryId: Part, digest: Part): Part =>
  hasIndexAbove(repositoryId, digest, sql`select from above where above.live`)

/** With one registry, no other registry states a media type. */
const hasSeveralRegistries: Part = sql`(select min(registry) <> max(registry) from inventory.repositories)`

/** Entries of indexes of which another registry stated fields: what it calls an image may be an index in the repository. */
const entriesTypedElsewhere = (place: (repositoryId: Part) => Part): Part => sql`
  select i.repository_id, c.digest, i.digest as root
  from (
    select digest, completed_by from inventory.manifests where not (stated_by <@ completed_by) offset 0
  ) m
    join inventory.repository_manifests i on i.digest = m.digest
    join inventory.repositories r on r.id = i.repository_id
    join inventory.manifest_children c on c.manifest_digest = m.digest
  where ${hasSeveralRegistries} and i.live and r.registry <> all(m.completed_by) and ${place(sql`i.repository_id`)}
    and ${isUnheard(sql`i.repository_id`, sql`c.digest`)}`

/** Entries of an index that no event showed, as far as they are read: what a longer one lists is not known. */
export const MOST_NESTED = 500

/**
 * The start of a query about indexes that no event showed in their repository, and that a live index lists. It reads all entries that
 * may be indexes, which are few, and looks each up:
 * `unheard (repository_id, digest, root)`, with the live index as `root`, and `nested (repository_id, digest, child, media_type)`, what they
 * list. They are followed no deeper: digests in events may be made up, so that such indexes list each other.
 */
export const unheardIndexes = (place: (repositoryId: Part) => Part): Part => sql`
  with unheard as materialized (
    select distinct i.repository_id, c.digest, i.digest as root
    from (
      select digest, manifest_digest from inventory.manifest_children where ${mayBeIndex(sql`media_type`)} offset 0
    ) c
      cross join lateral (
        select o.repository_id, o.digest from inventory.repository_manifests o
        where o.digest = c.manifest_digest and o.live and ${place(sql`o.repository_id`)} offset 0
      ) i
    where ${isUnheard(sql`i.repository_id`, sql`c.digest`)}
    union ${entriesTypedElsewhere(place)}
  ), nested as (
    select u.repository_id, u.digest, c.digest as child,
      case when (
        select ${areEntriesKnownIn(sql`m`, registryOf(sql`u.repository_id`))} from inventory.manifests m where m.digest = u.digest
      ) then c.media_type end as media_type
    from (select distinct repository_id, digest from unheard) u
      cross join lateral (
        select digest, media_type from inventory.manifest_children where manifest_digest = u.digest
        order by position limit ${MOST_NESTED + 1}
      ) c
  )`

/** Indexes among `unheard` of which it is not known all that they lead to: `repository_id`, `digest`. */
const notFollowed = sql`
    select n.repository_id, n.digest
    from nested n
      left join (select distinct repository_id, digest from unheard) u on u.repository_id = n.repository_id and u.digest = n.child
    group by n.repository_id, n.digest
    having count(*) > ${MOST_NESTED} or count(*) filter (
      where u.digest is null and ${mayBeIndex(sql`n.media_type`)} and ${isUnheard(sql`n.repository_id`, sql`n.child`)}
    ) > 0`

/**
 * Manifests of unknown contents that may be indexes although other registries stated the type of an image. The summary says which
 * repositories have manifests that may be indexes: those of the others are not read.
 */
const typedElsewhere = (asked: Asked): Part => sql`
    select i.repository_id, i.digest
    from inventory.repository_totals t
      join inventory.repositories r on r.id = t.repository_id
      join inventory.repository_manifests i on i.repository_id = t.repository_id
      join inventory.manifests u on u.digest = i.digest
    where ${hasSeveralRegistries} and t.unknown_indexes > 0 and i.live and not u.contents_known and u.media_type is not null and not ${isIndexType(sql`u.media_type`)}
      and ${mediaTypeIn(sql`u`, sql`r.registry`)} is null and not ${isKnownIn(sql`u`, sql`r.registry`)}
      and ${placedIn(sql`t.repository_id`, asked)}`

/**
 * Live manifests of unknown contents that may be indexes, and live indexes that lead to one: a list of `repository_id`, `digest`.
 * Each may list any manifest of its repository. They are few, and indexes of the tables have them alone.
 */
export const unknownIndexes = (asked: Asked): Part => {
  const unread = (type: Part): Part => sql`
    select i.repository_id, i.digest
    from inventory.manifests u
      join inventory.repository_manifests i on i.digest = u.digest
      join inventory.repositories r on r.id = i.repository_id
    where not u.contents_known and ${type} and i.live and not ${isKnownIn(sql`u`, sql`r.registry`)}
      and ${placedIn(sql`i.repository_id`, asked)}`
  return sql`(
    ${unread(isIndexType(sql`u.media_type`))}
    union all ${unread(sql`u.media_type is null`)}
    union all ${typedElsewhere(asked)}
    union all (
      ${unheardIndexes((id) => placedIn(id, asked))}, uncertain as (
        select u.repository_id, u.digest
        from (select distinct repository_id, digest from unheard) u
          join inventory.repositories r on r.id = u.repository_id
          left join inventory.manifests m on m.digest = u.digest
        where ${isKnownIn(sql`m`, sql`r.registry`)} is not true and ${mayBeIndex(mediaTypeIn(sql`m`, sql`r.registry`))}
        union all ${notFollowed}
      )
      select distinct u.repository_id, u.root from unheard u
      where (u.repository_id, u.digest) in (select repository_id, digest from uncertain)
    )
  )`
}
