import { sql, type RawBuilder } from 'kysely'
import { isKnownIn, registryOf } from '../known-in.js'
import { MOST_FOLLOWED } from './sql-parts.js'
import { withParts } from './uses.js'

type Part = RawBuilder<unknown>

/** A client fetches layers for so long after the manifest (pulls/fold/state.ts). */
const LONGEST_PULL = sql`interval '6 hours'`

/** Manifests that list a blob, of all registries, that are looked up in the repository. */
const MOST_LISTING = 500
/** If more list it: manifests of the repository of which it is looked up whether they list it. */
const MOST_IN_REPOSITORY = 3_000

/**
 * Whether somebody asked for a manifest of the repository that lists blob `read_blob` a short time before the blob was fetched, or later. A list
 * that only another registry stated explains nothing here, and what is not found in time neither: then the blob was used by itself.
 */
const isExplained = (repositoryId: Part): Part => {
  const asked = sql`greatest(x.pulled_at, x.checked_at) >= read_blob.pulled_at - ${LONGEST_PULL}`
  const isKnownHere = sql`exists (
    select from inventory.manifests m where m.digest = x.digest and ${isKnownIn(sql`m`, registryOf(repositoryId))}
  )`
  const listing = (most: number): Part => sql`(
    select manifest_digest from inventory.manifest_blobs where manifest_blobs.digest = read_blob.digest limit ${most}
  ) read_listing`
  return sql`(
    exists (
      select from ${listing(MOST_LISTING)} cross join lateral (
        select x.* from inventory.repository_manifests x
        where x.repository_id = ${repositoryId} and x.digest = read_listing.manifest_digest offset 0
      ) x
      where ${asked} and ${isKnownHere}
    )
    or case when (select count(*) from ${listing(MOST_LISTING + 1)}) <= ${MOST_LISTING} then false else exists (
      select from (
        select x.* from inventory.repository_manifests x where x.repository_id = ${repositoryId} limit ${MOST_IN_REPOSITORY}
      ) x
      where ${asked}
        and exists (select from inventory.manifest_blobs l where l.manifest_digest = x.digest and l.digest = read_blob.digest)
        and ${isKnownHere}
    ) end
  )`
}

/** Blobs that were fetched, of which it is found out why: those of the image itself come after those of its base. */
const MOST_EXPLAINED = 20

/**
 * Whether somebody fetched a blob of an image, or of what an index lists, since a moment, and no fetch or check of a manifest that lists the
 * blob explains it: who runs an image with a lazy snapshotter fetches layers for months. Of the first 300 blobs the last 20 that were
 * fetched are looked at.
 */
export const areLayersReadSince = (repositoryId: Part, digest: Part, moment: Part): Part => sql`exists (
  select from (
    select blobs.digest, read_at.pulled_at from (
      select digest, max(position) as position from (
        select digest, position from inventory.manifest_blobs
        where manifest_digest = any(${withParts(digest)}) limit ${MOST_FOLLOWED}
      ) first group by digest
    ) blobs
      cross join lateral (
        select k.pulled_at from inventory.repository_blobs k
        where k.repository_id = ${repositoryId} and k.digest = blobs.digest and k.pulled_at >= ${moment} offset 0
      ) read_at
    order by blobs.position desc limit ${MOST_EXPLAINED}
  ) read_blob
  where not ${isExplained(repositoryId)}
)`
