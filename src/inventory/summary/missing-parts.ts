import { sql, type RawBuilder } from 'kysely'
import { isKnownIn, registryOf } from '../known-in.js'
import { isMoving } from '../moving.js'
import { isManifestType } from '../questions/sql-parts.js'
import { mayBeIndex } from '../questions/indexes-above.js'
import { within, type Ctes, type Range } from './used-parts.js'

/** Whether the list of a manifest is known in a repository: a look-up, for the few rows that pass all other conditions. */
const isListKnown = (
  digest: RawBuilder<unknown>,
  repositoryId: RawBuilder<unknown>,
): RawBuilder<unknown> => sql`coalesce((
  select ${isKnownIn(sql`known`, registryOf(repositoryId))} from inventory.manifests known where known.digest = ${digest}
), false)`

/**
 * What an index lacks because its manifests lack it: about so many parts of all of them, and at most so many of each. Rows of all
 * parts for all indexes above them would be the product of both, and the digests may be made up.
 */
const MOST_LACKED = 100
const MOST_LACKED_BY_ONE = 20

/** Levels of indexes that lack what their manifests lack: an index, an index of indexes, and one of these. */
const LEVELS = [1, 2, 3] as const

/**
 * Entries of the live indexes of a repository that may be indexes themselves. Real repositories have few. Of one with more, only the
 * indexes that list what lacks a part are found: the digests may be made up, so that indexes list each other.
 */
const MOST_NESTED_ENTRIES = 10_000

/** Joins the live indexes `i` of a repository whose list is known, and that list a manifest, by two look-ups for each. */
const joinListing = (repositoryId: RawBuilder<unknown>, digest: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  cross join lateral (select distinct manifest_digest from inventory.manifest_children where digest = ${digest}) listing
  cross join lateral (
    select o.digest from inventory.repository_manifests o
    where o.repository_id = ${repositoryId} and o.digest = listing.manifest_digest and o.live
      and ${isListKnown(sql`o.digest`, sql`o.repository_id`)}
    offset 0
  ) i`

/**
 * `lacking_<level>`: what indexes lack because manifests that they list lack it (`lacking_<level - 1>`). The parts of a manifest are an
 * array: PostgreSQL believes that such a list has one row, and would compare each row of it with each of the other.
 */
const lackedByIndexes = (level: number): Ctes => sql`
  ${sql.ref(`lacking_${level}`)} as materialized (
    select a.repository_id, a.manifest_digest, missing.digest collate "C" as digest, missing.part, min(a.through) as through
    from (
      select l.repository_id, i.digest as manifest_digest, l.manifest_digest as through, l.digests, l.parts,
        sum(cardinality(l.parts)) over (partition by l.repository_id, i.digest order by l.manifest_digest)
          - cardinality(l.parts) as parts_before
      from (
        select repository_id, manifest_digest, (array_agg(digest order by digest))[:${MOST_LACKED_BY_ONE}] as digests,
          (array_agg(part order by digest))[:${MOST_LACKED_BY_ONE}] as parts
        from ${sql.ref(`lacking_${level - 1}`)}
        ${level === 1 ? sql`` : sql`where repository_id not in (select repository_id from too_nested)`}
        group by repository_id, manifest_digest
      ) l ${joinListing(sql`l.repository_id`, sql`l.manifest_digest`)}
    ) a cross join lateral unnest(a.digests, a.parts) as missing (digest, part)
    where a.parts_before < ${MOST_LACKED}
    group by a.repository_id, a.manifest_digest, missing.digest, missing.part
  )`

/**
 * `found_missing`: what live manifests need and their repository lost. Nothing says whether a manifest or a blob was deleted:
 * what an index lists is a blob only if it was seen as one, as in the caches of BuildKit. An index lacks what its manifests lack;
 * of several ways from an index to a part, the first counts. `not_followed`: how many indexes lie above all levels that are followed, by
 * repository: they lack something, too, or may lack it if their repository is `too_nested`.
 */
export const missingParts = (range: Range): Ctes => sql`
  lacking_0 as materialized (
    select h.repository_id, h.manifest_digest, h.digest, 'blob' as part, null::text collate "C" as through
    from blobs b join held h on h.repository_id = b.repository_id and h.digest = b.digest
    where not b.live and h.live and (b.seen_at is not null or not h.listed)
      and ${isListKnown(sql`h.manifest_digest`, sql`h.repository_id`)}
    union
    select i.repository_id, i.digest, c.digest, 'manifest', null
    from inventory.repository_manifests gone
      join inventory.manifest_children c on c.digest = gone.digest
      join inventory.repository_manifests i
        on i.repository_id = gone.repository_id and i.digest = c.manifest_digest and i.live
    where not gone.live and ${within('gone.repository_id', range)} and ${isManifestType(sql`c.media_type`)}
      and ${isListKnown(sql`i.digest`, sql`i.repository_id`)}
  ), too_nested as materialized (
    select i.repository_id, count(distinct i.digest) as manifests
    from inventory.repository_manifests i join inventory.manifest_children c on c.manifest_digest = i.digest
    where i.live and ${within('i.repository_id', range)} and ${mayBeIndex(sql`c.media_type`)}
    group by i.repository_id having count(*) > ${MOST_NESTED_ENTRIES}
  ), ${sql.join(LEVELS.map(lackedByIndexes))}, lacking as materialized (
    ${sql.join(
      [0, ...LEVELS].map((level) => sql`select * from ${sql.ref(`lacking_${level}`)}`),
      sql` union all `,
    )}
  ), broken (repository_id, digest) as (
    select distinct repository_id, manifest_digest from ${sql.ref(`lacking_${LEVELS.length}`)}
    union
    select b.repository_id, i.digest from broken b ${joinListing(sql`b.repository_id`, sql`b.digest`)}
  ), not_followed as materialized (
    select b.repository_id, count(*) as manifests
    from broken b
    where not exists (
      select from lacking l where l.repository_id = b.repository_id and l.manifest_digest = b.digest
    )
    group by b.repository_id
    union all
    select n.repository_id, n.manifests from too_nested n
    where exists (select from lacking_0 l where l.repository_id = n.repository_id)
  ), found_missing as materialized (
    select repository_id, manifest_digest, digest, min(part collate "C") as part,
      case when bool_and(through is not null) then min(through) end as through
    from lacking
    where not ${isMoving(sql`repository_id`)}
    group by repository_id, manifest_digest, digest
  )`
