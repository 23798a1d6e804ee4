import { sql, type RawBuilder } from 'kysely'
import { isKnownIn, mediaTypeIn, registryOf } from '../known-in.js'
import { isMoving } from '../moving.js'
import { mayBeIndex, MOST_NESTED } from '../questions/indexes-above.js'
import { blobUsedAt, isManifestType } from '../questions/sql-parts.js'

/** Repositories whose ids are greater than `after` and at most `to`; without a bound, all that remain. */
export type Range = { after?: number | undefined; to?: number | undefined }

/** Common table expressions of the statement that finds orphaned blobs and missing parts. */
type Ctes = RawBuilder<unknown>

const isWhole = ({ after, to }: Range): boolean => after === undefined && to === undefined

export const within = (column: string, range: Range): RawBuilder<unknown> => withinRange(sql.raw(column), range)

export const withinRange = (repositoryId: RawBuilder<unknown>, { after, to }: Range): RawBuilder<unknown> => sql`(
  ${after === undefined ? sql`true` : sql`${repositoryId} > ${after}`}
  and ${to === undefined ? sql`true` : sql`${repositoryId} <= ${to}`}
)`

const isUnheardOf = (repositoryId: string, digest: string): RawBuilder<unknown> => sql`not exists (
  select from inventory.repository_manifests o
  where o.repository_id = ${sql.raw(repositoryId)} and o.digest = ${sql.raw(digest)}
)`

/**
 * `used`: manifests whose blobs are in use: those that live, and those that a live tag or index names and no event showed, as
 * they were there before the first one, and what these list. What such a manifest lists is not followed (`is_cut`) if there is too
 * much of it, or if it is an index in an index that no event showed either: the digests may be made up, so that indexes list each
 * other. `unknown`: how many of them are of unknown contents or cut, and may be indexes, by repository.
 */
export const usedManifests = (range: Range): Ctes => sql`
  named as materialized (
    select t.repository_id, t.digest from inventory.tags t
    where t.live and ${within('t.repository_id', range)} and ${isUnheardOf('t.repository_id', 't.digest')}
    union
    select i.repository_id, c.digest
    from inventory.repository_manifests i join inventory.manifest_children c on c.manifest_digest = i.digest
    where i.live and ${within('i.repository_id', range)} and ${isManifestType(sql`c.media_type`)}
      and ${isUnheardOf('i.repository_id', 'c.digest')}
  ), listing as materialized (
    select n.digest, count(*) > ${MOST_NESTED} as is_cut
    from (select distinct digest from named) n
      cross join lateral (
        select from inventory.manifest_children c where c.manifest_digest = n.digest limit ${MOST_NESTED + 1}
      ) c
    group by n.digest
  ), nested as materialized (
    select n.repository_id, c.digest
    from named n
      join listing l on l.digest = n.digest and not l.is_cut
      join inventory.manifest_children c on c.manifest_digest = l.digest
    where ${isManifestType(sql`c.media_type`)} and ${isUnheardOf('n.repository_id', 'c.digest')}
    except select repository_id, digest from named
  ), used as materialized (
    select m.repository_id, m.digest, true as live, false as is_cut from inventory.repository_manifests m
    where m.live and ${within('m.repository_id', range)}
    union all
    select n.repository_id, n.digest, false, coalesce(l.is_cut, false) from named n left join listing l on l.digest = n.digest
    union all
    select n.repository_id, n.digest, false, exists (
      select from inventory.manifest_children c where c.manifest_digest = n.digest and ${isManifestType(sql`c.media_type`)}
    ) from nested n
  ), unknown as materialized (
    select u.repository_id, count(*) as manifests,
      count(*) filter (where u.is_cut or ${mayBeIndex(mediaTypeIn(sql`m`, sql`r.registry`))}) as indexes
    from used u
      join inventory.repositories r on r.id = u.repository_id
      left join inventory.manifests m on m.digest = u.digest
    where u.is_cut or ${isKnownIn(sql`m`, sql`r.registry`)} is not true
    group by u.repository_id
  )`

/** What used manifests have. `offset 0` keeps PostgreSQL from reading the blobs of all manifests for each part. */
export const heldIn = (range: Range): Ctes =>
  isWhole(range)
    ? sql`
      select m.repository_id, m.digest as manifest_digest, m.live, p.digest, p.listed
      from used m
        join (
          select manifest_digest, digest, false as listed from inventory.manifest_blobs
          union all select manifest_digest, digest, true from inventory.manifest_children
        ) p on p.manifest_digest = m.digest
      where not m.is_cut`
    : sql`
      select m.repository_id, m.digest as manifest_digest, m.live, p.digest, p.listed
      from used m
        join lateral (
          select digest, false as listed from inventory.manifest_blobs where manifest_digest = m.digest
          union all select digest, true from inventory.manifest_children where manifest_digest = m.digest
          offset 0
        ) p on true
      where not m.is_cut`

/** A push may take so long, from its first blob to its manifest, and another push may use its blobs until then. */
const LONGEST_PUSH = sql`interval '24 hours'`

/**
 * `found_orphans`: live blobs that no used manifest of their repository has, where all used manifests are known. A blob that was
 * neither pushed nor mounted was there before the first event, and so may be a manifest that has it. Reconcile cannot tell: no
 * registry lists manifests without a tag. Most clients push or mount only what the repository lacks; a blob that a client
 * pushes again looks as if it were new. `undecided`: how many blobs are left out because an unknown manifest may have them.
 */
export const orphans = (at: Date): Ctes => sql`
  loose as materialized (
    select b.repository_id, b.digest, coalesce(b.size, 0) as size, b.manifest_at, b.implied, ${blobUsedAt} as used_at,
      coalesce(b.pushed_at, b.mounted_at) is not null
        and not exists (select from unknown u where u.repository_id = b.repository_id) as is_decided,
      coalesce(${blobUsedAt}, b.first_seen_at, '-infinity') <= ${at}::timestamptz - ${LONGEST_PUSH} as is_old
    from blobs b
    where b.live and not ${isMoving(sql`b.repository_id`)}
      and not exists (select from held h where h.repository_id = b.repository_id and h.digest = b.digest)
  ), found_orphans as materialized (
    select repository_id, digest, size, manifest_at, implied, used_at from loose where is_decided and is_old
  ), undecided as materialized (
    select repository_id, count(*) as blobs from loose where not is_decided group by repository_id
  )`

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
 * repository: they lack something, too.
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
  ), found_missing as materialized (
    select repository_id, manifest_digest, digest, min(part collate "C") as part,
      case when bool_and(through is not null) then min(through) end as through
    from lacking
    where not ${isMoving(sql`repository_id`)}
    group by repository_id, manifest_digest, digest
  )`
