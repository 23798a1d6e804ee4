import { sql, type RawBuilder } from 'kysely'
import { isKnownIn, mediaTypeIn } from '../model/known-in.js'
import { isHeardSince, registryOfRepository } from '../model/heard-since.js'
import { isMoving } from '../model/moving.js'
import { mayBeIndex } from '../questions/indexes-above.js'
import { blobUsedAt, isManifestType } from '../questions/sql-parts.js'
import { MOST_IN_REPOSITORY, MOST_NESTED, withCut } from '../questions/unknown-indexes.js'
import { blobsOf, childrenOf } from './list-lengths.js'
import type { Range } from './ranges.js'

/** Common table expressions of the statement that finds orphaned blobs and missing parts. */
export type Ctes = RawBuilder<unknown>

const isWhole = ({ after, to }: Range): boolean => after === undefined && to === undefined

export const within = (column: string, { after, to }: Range): RawBuilder<unknown> => {
  const repositoryId = sql.raw(column)
  return sql`(
  ${after === undefined ? sql`true` : sql`${repositoryId} > ${after}`}
  and ${to === undefined ? sql`true` : sql`${repositoryId} <= ${to}`}
)`
}

/** Whether a repository is in the range and not unread. */
const isReadIn = (column: string, range: Range): RawBuilder<unknown> =>
  range.unread.length === 0
    ? within(column, range)
    : sql`(${within(column, range)} and ${sql.raw(column)} not in (select unnest(${range.unread}::int[])))`

const isNeverObservedIn = (repositoryId: string, digest: string): RawBuilder<unknown> => sql`not exists (
  select from inventory.repository_manifests o
  where o.repository_id = ${sql.raw(repositoryId)} and o.digest = ${sql.raw(digest)}
)`

/**
 * `<name>` has each row of `found (repository_id, digest)` once, with how many manifests it lists (`children`), and whether its
 * list is cut. The length of a list is looked up once for all repositories. MOST_IN_REPOSITORY entries of such lists are read
 * per repository, and `mostUnobserved` per range: beyond that, all lists are cut.
 * @param isTooMuch a condition on the row, besides these bounds
 */
const eachWithCut = (
  name: string,
  { found, isTooMuch, range }: { found: RawBuilder<unknown>; isTooMuch: RawBuilder<unknown>; range: Range },
): Ctes => sql`
  ${sql.ref(`measured_${name}`)} as materialized (
    select unnest(repository_ids) as repository_id, digest, children, entries
    from (
      select repository_ids, digest, children, children + blobs as entries
      from (
        select *, ${childrenOf(sql`f.digest`)} as children, ${blobsOf(sql`f.digest`)} as blobs
        from (
          select digest, array_agg(distinct repository_id) as repository_ids from (${found}) found group by digest
        ) f offset 0
      ) looked_up
    ) measured
  ), ${sql.ref(name)} as materialized (
    select repository_id, digest, children, false as is_cut from ${sql.ref(`measured_${name}`)} where entries = 0
    union all
    select repository_id, digest, children, is_cut or ${isTooMuch}
    from (${withCut(sql`select * from ${sql.ref(`measured_${name}`)} where entries > 0`, range.mostUnobserved)}) long
  )`

/**
 * `listings`: entries of live indexes. `named`: manifests that a live tag or index names and no event showed in the repository.
 * If their lists are too long to be followed, `is_cut` is true.
 */
export const namedManifests = (range: Range): Ctes => sql`
  listings as materialized (
    select i.repository_id, i.digest as manifest_digest, c.digest, ${isManifestType(sql`c.media_type`)} as is_manifest,
      ${mayBeIndex(sql`c.media_type`)} as may_be_index
    from inventory.repository_manifests i
      ${isWhole(range) ? sql`join inventory.manifest_children c on c.manifest_digest = i.digest` : listOf(sql`i.digest`)}
    where i.live and ${isReadIn('i.repository_id', range)}
  ), ${eachWithCut('named', {
    found: sql`
            select t.repository_id, t.digest from inventory.tags t
            where t.live and ${isReadIn('t.repository_id', range)} and ${isNeverObservedIn('t.repository_id', 't.digest')}
            union all
            select l.repository_id, l.digest from listings l
            where l.is_manifest and ${isNeverObservedIn('l.repository_id', 'l.digest')}`,
    isTooMuch: sql`children > ${MOST_NESTED}`,
    range,
  })}`

/** Joins `c`, the entries of an index, by a look-up. */
export const listOf = (digest: RawBuilder<unknown>): RawBuilder<unknown> => sql`cross join lateral (
        select digest, media_type from inventory.manifest_children where manifest_digest = ${digest} offset 0
      ) c`

/**
 * `used`: manifests whose blobs are in use. These are live manifests; manifests that a live tag or index names and no event
 * showed, as they existed before the first event; and the entries of the latter. The entries of such a manifest are not
 * followed (`is_cut`) if there are too many, or if it is an index in an index that no event showed either: digests may be made
 * up, so that indexes list each other. `too_nested`: repositories with too many entries that may be indexes, and how many
 * indexes list these. `unknown`: by repository, how many of all these manifests are unknown, cut or unread, and how many of
 * them may be indexes.
 */
export const usedManifests = (range: Range): Ctes => sql`
  ${namedManifests(range)}, ${eachWithCut('nested', {
    found: sql`
            select n.repository_id, c.digest
            from named n ${listOf(sql`n.digest`)}
            where not n.is_cut and n.children > 0 and ${isManifestType(sql`c.media_type`)}
              and ${isNeverObservedIn('n.repository_id', 'c.digest')}
            except select repository_id, digest from named where exists (select from named where children > 0 and not is_cut)`,
    isTooMuch: sql`children > 0`,
    range,
  })}, too_nested as materialized (
    select repository_id, count(distinct manifest_digest) as manifests
    from listings where may_be_index
    group by repository_id having count(*) > ${MOST_IN_REPOSITORY}
  ), used as materialized (
    select m.repository_id, m.digest, true as live, false as is_cut from inventory.repository_manifests m
    where m.live and ${isReadIn('m.repository_id', range)}
    union all select repository_id, digest, false, is_cut from named
    union all select repository_id, digest, false, is_cut from nested
  ), unknown as materialized (
    select repository_id, sum(manifests) as manifests, sum(indexes) as indexes
    from (
      select u.repository_id, count(*) as manifests,
        count(*) filter (where u.is_cut or ${mayBeIndex(mediaTypeIn(sql`m`, sql`r.registry`))}) as indexes
      from used u
        join inventory.repositories r on r.id = u.repository_id
        left join inventory.manifests m on m.digest = u.digest
      where u.is_cut or ${isKnownIn(sql`m`, sql`r.registry`)} is not true
      group by u.repository_id
      union all
      select repository_id, manifests, manifests from too_nested
      union all
      -- At least one: a tag may name a manifest that no event showed.
      select unread.id, greatest(count(m.digest), 1), greatest(count(m.digest), 1)
      from unnest(${range.unread}::int[]) as unread (id)
        left join inventory.repository_manifests m on m.repository_id = unread.id and m.live
      group by unread.id
    ) counted
    group by repository_id
  )`

/**
 * Everything that used manifests contain: entries and blobs of live ones, and of the others. `offset 0` keeps PostgreSQL from
 * reading the blobs of all manifests for each part.
 */
export const partsInUse = (range: Range): Ctes => sql`
      select l.repository_id, l.manifest_digest, true as live, l.digest, true as listed from listings l
      union all
      select m.repository_id, m.digest, true, p.digest, false
      from used m ${
        isWhole(range)
          ? sql`join inventory.manifest_blobs p on p.manifest_digest = m.digest`
          : sql`cross join lateral (
          select digest from inventory.manifest_blobs where manifest_digest = m.digest offset 0
        ) p`
      }
      where m.live
      union all
      select m.repository_id, m.digest, false, p.digest, p.listed
      from used m cross join lateral (
          select digest, false as listed from inventory.manifest_blobs where manifest_digest = m.digest
          union all select digest, true from inventory.manifest_children where manifest_digest = m.digest
          offset 0
        ) p
      where not m.live and not m.is_cut`

/** The longest time of a push from its first blob to its manifest. Until then, another push may use its blobs. */
const LONGEST_PUSH = sql`interval '24 hours'`

/**
 * `found_orphans`: live blobs that no used manifest of their repository has, if all used manifests are known. A blob that was
 * neither pushed nor mounted existed before the first event, and so may a manifest that has it. Reconcile cannot find such a
 * manifest, because no registry lists untagged manifests. Most clients push or mount only blobs that the repository lacks; a
 * blob that a client pushes again looks new. `undecided`: how many blobs are left out because an unknown manifest may have
 * them.
 */
export const orphans = (at: Date): Ctes => sql`
  loose as materialized (
    select b.repository_id, b.digest, coalesce(b.size, 0) as size, b.manifest_at, b.implied, ${blobUsedAt} as used_at,
      coalesce(b.pushed_at, b.mounted_at) is not null
        and not exists (select from unknown u where u.repository_id = b.repository_id) as is_decided,
      coalesce(${blobUsedAt}, b.first_seen_at, '-infinity') <= ${at}::timestamptz - ${LONGEST_PUSH}
        and ${isHeardSince(sql`coalesce(${blobUsedAt}, b.first_seen_at, '-infinity')`, registryOfRepository(sql`b.repository_id`), LONGEST_PUSH)} as is_old
    from (
      -- A full join never compares each row with each, whatever the statistics of PostgreSQL say.
      select b.*, h.digest as used_digest
      from blobs b full join used_parts h on h.repository_id = b.repository_id and h.digest = b.digest
      offset 0
    ) b
    where b.live and b.used_digest is null and not ${isMoving(sql`b.repository_id`)}
  ), found_orphans as materialized (
    select repository_id, digest, size, manifest_at, implied, used_at from loose where is_decided and is_old
  ), undecided as materialized (
    select repository_id, count(*) as blobs from loose where not is_decided group by repository_id
  )`
