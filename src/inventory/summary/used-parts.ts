import { sql, type RawBuilder } from 'kysely'
import { isKnownIn, mediaTypeIn } from '../known-in.js'
import { isMoving } from '../moving.js'
import { mayBeIndex, MOST_NESTED } from '../questions/indexes-above.js'
import { blobUsedAt, isManifestType } from '../questions/sql-parts.js'

/** Repositories whose ids are greater than `after` and at most `to`; without a bound, all that remain. */
export type Range = { after?: number | undefined; to?: number | undefined }

/** Common table expressions of the statement that finds orphaned blobs and missing parts. */
export type Ctes = RawBuilder<unknown>

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
