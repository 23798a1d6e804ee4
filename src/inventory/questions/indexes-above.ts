import { sql, type RawBuilder } from 'kysely'
import { entriesListing, isListed } from '../model/index-entries.js'
import { DEEPEST, IS_CUT, isIndexType, MOST_FOLLOWED } from './sql-parts.js'

type Part = RawBuilder<unknown>

/** A descriptor or manifest without a media type may be an index. */
export const mayBeIndex = (mediaType: Part): Part => sql`(${mediaType} is null or ${isIndexType(mediaType)})`

/**
 * Whether an index above a manifest in a repository meets a condition, or more indexes exist than are read. `above (digest,
 * live)` has the indexes that list the manifest, and those that list these, at most MOST_FOLLOWED entries up to the level
 * DEEPEST. An index that no event showed there has no `live`: it exists if an index above it exists. Deleted indexes are not
 * followed.
 * @param found a query of `above`
 */
export const hasIndexAbove = (repositoryId: Part, digest: Part, found: Part): Part => {
  const parents = (of: Part): Part => sql`(
      select manifest_digest from ${entriesListing(of, MOST_FOLLOWED + 1)} e offset 0
    ) c
    left join lateral (
      select listing_index.live from inventory.repository_manifests listing_index
      where listing_index.repository_id = ${repositoryId} and listing_index.digest = c.manifest_digest offset 0
    ) parent on true`
  return sql`case
  -- Most manifests are in no index, which one look-up shows.
  when not ${isListed(digest)} then false
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

/** Whether a live index lists a manifest in a repository, directly or through others; true if that is unknown. */
export const isListedByLive = (repositoryId: Part, digest: Part): Part =>
  hasIndexAbove(repositoryId, digest, sql`select from above where above.live`)

/** Whether too many indexes, in any repository and including deleted ones, list a manifest for all of them to be read. */
export const isInTooManyIndexes = (digest: Part): Part => sql`((
  select count(*) from (
    select from ${entriesListing(digest, MOST_FOLLOWED + 1)} e
  ) p
) > ${MOST_FOLLOWED})`
