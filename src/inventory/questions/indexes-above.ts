import { sql, type RawBuilder } from 'kysely'
import { isKnownIn, mediaTypeIn } from '../known-in.js'
import type { Asked } from './question.js'
import { isIndexType, placedIn } from './sql-parts.js'

type Part = RawBuilder<unknown>

/** What a descriptor or a manifest without a media type is, is not known: an index, maybe. */
export const mayBeIndex = (mediaType: Part): Part => sql`(${mediaType} is null or ${isIndexType(mediaType)})`

const isUnheard = (repositoryId: Part, digest: Part): Part => sql`not exists (
  select from inventory.repository_manifests known
  where known.repository_id = ${repositoryId} and known.digest = ${digest} offset 0
)`

/**
 * The start of a query that reads `above (digest, live)`: indexes that list a manifest in a repository, and the indexes that
 * list these. One that no event showed there has no `live`: it is there if an index above it is. Deleted ones lead nowhere.
 */
export const indexesAbove = (repositoryId: Part, digest: Part): Part => {
  const parents = (of: Part): Part => sql`inventory.manifest_children c
    left join lateral (
      select o.live from inventory.repository_manifests o
      where o.repository_id = ${repositoryId} and o.digest = c.manifest_digest offset 0
    ) parent on true
    where c.digest = ${of} and parent.live is not false`
  return sql`
  with recursive above (digest, live) as (
    select c.manifest_digest, parent.live from ${parents(digest)}
    union
    select c.manifest_digest, parent.live from above, ${parents(sql`above.digest`)}
  )`
}

/**
 * The start of a query that reads `unheard (repository_id, digest, root)`: indexes that no event showed in their repository,
 * and that live indexes list, directly or through others. `root` is the live index.
 */
export const unheardIndexes = (place: (repositoryId: Part) => Part): Part => sql`
  with recursive unheard (repository_id, digest, root) as (
    select i.repository_id, c.digest, i.digest
    from inventory.manifest_children c join inventory.repository_manifests i on i.digest = c.manifest_digest
    where ${mayBeIndex(sql`c.media_type`)} and i.live and ${place(sql`i.repository_id`)}
      and ${isUnheard(sql`i.repository_id`, sql`c.digest`)}
    union
    select u.repository_id, c.digest, u.root
    from unheard u join inventory.manifest_children c on c.manifest_digest = u.digest
    where ${mayBeIndex(sql`c.media_type`)} and ${isUnheard(sql`u.repository_id`, sql`c.digest`)}
  )`

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
    union all (
      ${unheardIndexes((id) => placedIn(id, asked))}
      select u.repository_id, u.root
      from unheard u
        join inventory.repositories r on r.id = u.repository_id
        left join inventory.manifests m on m.digest = u.digest
      where ${isKnownIn(sql`m`, sql`r.registry`)} is not true and ${mayBeIndex(mediaTypeIn(sql`m`, sql`r.registry`))}
    )
  )`
}
