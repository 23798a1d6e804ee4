import { sql, type RawBuilder } from 'kysely'
import { MOST_FOLLOWED } from './sql-parts.js'
import { withParts } from './uses.js'

type Part = RawBuilder<unknown>

/** A client fetches layers for so long after the manifest (pulls/fold/state.ts). */
const LONGEST_PULL = sql`interval '6 hours'`

/** Manifests that list blob `read_blob`, as far as they are read. */
const listing = sql`(
  select manifest_digest from inventory.manifest_blobs where manifest_blobs.digest = read_blob.digest limit ${MOST_FOLLOWED}
) read_listing`

/** Blobs that were fetched, of which it is found out why: those of the image itself come after those of its base. */
const MOST_EXPLAINED = 20

/**
 * Whether somebody fetched a blob of an image, or of what an index lists, since a moment, and no fetch or check of a manifest that lists the
 * blob explains it: who runs an image with a lazy snapshotter fetches layers for months. Of the first 300 blobs the last 20 that were
 * fetched are looked at, and a blob of 300 manifests or more says nothing about one of them.
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
  where (select count(*) from ${listing}) < ${MOST_FOLLOWED} and not exists (
    select from ${listing} cross join lateral (
      select from inventory.repository_manifests x
      where x.repository_id = ${repositoryId} and x.digest = read_listing.manifest_digest
        and greatest(x.pulled_at, x.checked_at) >= read_blob.pulled_at - ${LONGEST_PULL}
      offset 0
    ) explained
  )
)`
