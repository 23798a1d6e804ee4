import { sql, type RawBuilder } from 'kysely'
import { isKnownIn } from '../model/known-in.js'
import { MOST_FOLLOWED } from './sql-parts.js'
import { withParts } from './uses.js'

type Part = RawBuilder<unknown>

/** A client fetches layers for so long after the manifest (pulls/fold/state.ts). */
const LONGEST_PULL = sql`interval '6 hours'`

/**
 * The newest requested manifests of a repository, and of all repositories of a statement, that may explain a fetch. MOST_BLOBS
 * limits their blobs. Each takes about 5 µs on the embedded database. Repositories take turns, so that one with many manifests
 * leaves some for the others.
 */
const MOST_REQUESTED = { inRepository: 2_000, inAll: 20_000 }
const MOST_BLOBS = 200_000

/**
 * Fetched blobs of an image that are explained, the last ones of its list: the blobs of the image itself come after those of
 * its base.
 */
const MOST_EXPLAINED = 20

/**
 * Parts of a query, the last of them `layer_reads (repository_id, image)`. It has images of which a client fetched a blob since
 * a moment, and no request of a manifest with that blob explains the fetch. The blobs are those of the image, or of the
 * manifests that an index lists. A client that runs an image with a lazy snapshotter fetches layers for months. Of the first
 * 300 blobs, the last 20 that were fetched are checked. A fetch is explained if a manifest of the repository that is known to
 * have the blob was requested shortly before, or later. An unexplained fetch is a use. So manifests and blobs beyond
 * MOST_REQUESTED and MOST_BLOBS can make an image used, never unused.
 * @param images a query of `repository_id`, `digest`
 */
export const layerReads = (images: Part, moment: Part): Part => sql`
  fetched as materialized (
    select i.repository_id, i.digest as image, b.digest, b.pulled_at
    from (${images}) i cross join lateral (
      select blobs.digest, read_at.pulled_at from (
        select digest, max(position) as position from (
          select b.digest, b.position
          from unnest(${withParts(sql`i.digest`)}) as part cross join lateral (
            select digest, position from inventory.manifest_blobs where manifest_digest = part offset 0
          ) b
          limit ${MOST_FOLLOWED}
        ) first group by digest
      ) blobs
        cross join lateral (
          select k.pulled_at from inventory.repository_blobs k
          where k.repository_id = i.repository_id and k.digest = blobs.digest and k.pulled_at >= ${moment} offset 0
        ) read_at
      order by blobs.position desc limit ${MOST_EXPLAINED}
    ) b
  ), fetched_in as materialized (
    select repository_id, min(pulled_at) - ${LONGEST_PULL} as since from fetched group by repository_id
  ), newest as materialized (
    select o.repository_id, o.digest, o.requested_at, o.turn
    from fetched_in p cross join lateral (
      select repository_id, digest, requested_at, row_number() over (order by requested_at desc, digest) as turn from (
        select repository_id, digest, greatest(pulled_at, checked_at) as requested_at from inventory.repository_manifests
        where repository_id = p.repository_id and greatest(pulled_at, checked_at) >= p.since
        order by 3 desc, digest limit ${MOST_REQUESTED.inRepository}
      ) o
    ) o
    order by o.turn, o.requested_at desc, o.repository_id limit ${MOST_REQUESTED.inAll}
  ), requested as materialized (
    select o.repository_id, o.digest, o.requested_at, o.turn
    from newest o
      join inventory.repositories r on r.id = o.repository_id
      cross join lateral (
        select ${isKnownIn(sql`m`, sql`r.registry`)} as is_known from inventory.manifests m where m.digest = o.digest offset 0
      ) m
    where m.is_known
  ), explained as materialized (
    select repository_id, digest, max(requested_at) as requested_at
    from (
      select a.repository_id, l.digest, a.requested_at
      from (select * from requested order by turn, requested_at desc, repository_id) a cross join lateral (
        select digest from inventory.manifest_blobs where manifest_digest = a.digest limit ${MOST_FOLLOWED}
      ) l
      limit ${MOST_BLOBS}
    ) l
    group by repository_id, digest
  ), layer_reads as materialized (
    -- A full join never compares each row with each, whatever the statistics of PostgreSQL say.
    select distinct repository_id, image from (
      select f.repository_id, f.image, f.pulled_at, e.requested_at
      from fetched f full join explained e on e.repository_id = f.repository_id and e.digest = f.digest
      offset 0
    ) f
    where image is not null and (requested_at >= pulled_at - ${LONGEST_PULL}) is not true
  )`

/** Whether an image is in `layer_reads`. */
export const areLayersRead = (repositoryId: Part, digest: Part): Part =>
  sql`((${repositoryId}, ${digest}) in (select repository_id, image from layer_reads))`
