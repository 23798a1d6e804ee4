import { sql, type RawBuilder } from 'kysely'
import { isKnownIn, registryOf } from '../model/known-in.js'
import { isMoving } from '../model/moving.js'
import type { Range } from './ranges.js'
import { within, type Ctes } from './used-parts.js'

/** Whether the list of a manifest is known in a repository. A look-up, for the few rows that meet all other conditions. */
const isListKnown = (
  digest: RawBuilder<unknown>,
  repositoryId: RawBuilder<unknown>,
): RawBuilder<unknown> => sql`coalesce((
  select ${isKnownIn(sql`known`, registryOf(repositoryId))} from inventory.manifests known where known.digest = ${digest}
), false)`

/**
 * The missing parts that an index inherits from its manifests: about so many in total, and at most so many from each manifest.
 * Without limits, there could be a row for each pair of part and index, and digests may be made up.
 */
const MOST_LACKED = 100
const MOST_LACKED_BY_ONE = 20

/** Levels of indexes that inherit missing parts: an index, an index of indexes, and one more level. */
const LEVELS = [1, 2, 3] as const

/**
 * `above_<level>`: the live indexes that list a manifest with a missing part (`lacking_<level - 1>`), as many as are needed for
 * so many parts. PostgreSQL estimates one row for each list here, and would compare each row with each. It does not do so for a
 * full join.
 */
const listingWhatLacks = (level: number): Ctes => {
  const parts = sql.ref(`parts_${level - 1}`)
  return sql`
  ${parts} as materialized (
    select repository_id, manifest_digest, (array_agg(digest order by digest))[:${MOST_LACKED_BY_ONE}] as digests,
      (array_agg(part order by digest))[:${MOST_LACKED_BY_ONE}] as parts
    from ${sql.ref(`lacking_${level - 1}`)}
    ${level === 1 ? sql`` : sql`where repository_id not in (select repository_id from too_nested)`}
    group by repository_id, manifest_digest
  ), ${sql.ref(`above_${level}`)} as materialized (
    select repository_id, manifest_digest, through
    from (
      select repository_id, manifest_digest, through,
        sum(lacked) over (partition by repository_id, manifest_digest order by through) - lacked as lacked_before
      from (
        select distinct repository_id, manifest_digest, through, lacked
        from (
          select l.repository_id, l.manifest_digest, p.manifest_digest as through, cardinality(p.parts) as lacked
          from ${parts} p full join (
            select * from listings where exists (select from ${parts})
          ) l on l.repository_id = p.repository_id and l.digest = p.manifest_digest
          offset 0
        ) joined
        where manifest_digest is not null and through is not null
      ) each_once
      where ${isListKnown(sql`manifest_digest`, sql`repository_id`)}
    ) summed
    where lacked_before < ${MOST_LACKED}
  )`
}

/** `lacking_<level>`: parts that indexes lack because manifests that they list lack them. */
const lackedByIndexes = (level: number): Ctes => sql`
  ${listingWhatLacks(level)}, ${sql.ref(`lacking_${level}`)} as materialized (
    select repository_id, manifest_digest, missing.digest collate "C" as digest, missing.part, min(through) as through
    from (
      select a.repository_id, a.manifest_digest, a.through, p.digests, p.parts
      from ${sql.ref(`above_${level}`)} a full join ${sql.ref(`parts_${level - 1}`)} p
        on p.repository_id = a.repository_id and p.manifest_digest = a.through
      offset 0
    ) a cross join lateral unnest(a.digests, a.parts) as missing (digest, part)
    where manifest_digest is not null
    group by repository_id, manifest_digest, missing.digest, missing.part
  )`

/**
 * `found_missing`: parts that live manifests need and their repository lost. An event does not show whether a manifest or a blob
 * was deleted: an entry of an index is a blob only if it was seen as one, as in the caches of BuildKit. An index lacks what its
 * manifests lack; if several ways lead from an index to a part, the first one counts. `not_followed`: by repository, how many
 * indexes list indexes and lack nothing known, if some are above all levels that are followed. In a `too_nested` repository,
 * only one level is found.
 */
export const missingParts = (range: Range): Ctes => sql`
  lacking_0 as materialized (
    select repository_id, manifest_digest, digest, 'blob' as part, null::text collate "C" as through
    from (
      select h.*, b.seen_at, b.digest as gone
      from used_parts h full join (
        select * from blobs where not live
      ) b on b.repository_id = h.repository_id and b.digest = h.digest
      offset 0
    ) h
    where manifest_digest is not null and gone is not null and live and (seen_at is not null or not listed)
      and ${isListKnown(sql`manifest_digest`, sql`repository_id`)}
    union
    select repository_id, manifest_digest, digest, 'manifest', null
    from (
      select l.*, m.digest as gone
      from listings l full join (
        select repository_id, digest from inventory.repository_manifests
        where not live and ${within('repository_id', range)}
      ) m on m.repository_id = l.repository_id and m.digest = l.digest
      offset 0
    ) l
    where manifest_digest is not null and gone is not null and is_manifest
      and ${isListKnown(sql`manifest_digest`, sql`repository_id`)}
  ), ${sql.join(LEVELS.map(lackedByIndexes))}, lacking as materialized (
    ${sql.join(
      [0, ...LEVELS].map((level) => sql`select * from ${sql.ref(`lacking_${level}`)}`),
      sql` union all `,
    )}
  ), ${listingWhatLacks(LEVELS.length + 1)}, not_followed as materialized (
    select repository_id, count(*) as manifests
    from (
      select repository_id, manifest_digest from listings
      where may_be_index and exists (select from ${sql.ref(`above_${LEVELS.length + 1}`)})
      except select repository_id, manifest_digest from lacking
    ) complete
    where repository_id in (
      select repository_id from (
        select repository_id, manifest_digest from ${sql.ref(`above_${LEVELS.length + 1}`)}
        except select repository_id, manifest_digest from lacking
      ) higher
    )
    group by repository_id
  ), found_missing as materialized (
    select repository_id, manifest_digest, digest, min(part collate "C") as part,
      case when bool_and(through is not null) then min(through) end as through
    from lacking
    where not ${isMoving(sql`repository_id`)}
    group by repository_id, manifest_digest, digest
  )`
