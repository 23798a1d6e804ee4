import { sql, type RawBuilder } from 'kysely'
import { SUBJECT_IN_TAG } from '../../events/reference.js'
import { FOREIGN_LAYER, INDEXES, MANIFESTS, SMALLEST_LISTING_INDEX } from '../../events/descriptor.js'
import { isKnownIn, registryOf } from '../model/known-in.js'
import { undecidedRepositories, type Undecided } from '../model/undecided.js'
import { clampedSum } from '../../storage/sql/clamped-sum.js'
import type { QueryParameters, Key, Page } from './question.js'

type Part = RawBuilder<unknown>

/**
 * Whether a row is in the repository or registry of the query. A repository is selected by its ids: PostgreSQL plans a page of
 * a large repository well only if it knows which one it is. A registry has many repositories, so rows are read in order until
 * the page is full.
 */
export const isSelected = (
  repositoryId: Part,
  { silent, unreconciled, undecided, ...query }: QueryParameters,
): Part => {
  const conditions = [matchesQuery(repositoryId, query)]
  if (silent !== undefined)
    conditions.push(sql`not exists (
        select from inventory.repositories where id = ${repositoryId} and registry = any(${JSON.parse(silent) as string[]}::text[])
      )`)
  if (unreconciled !== undefined)
    conditions.push(sql`not exists (
        select from inventory.repositories affected join ${unreconciledIn(JSON.parse(unreconciled) as Unreconciled[])} on ${IS_UNRECONCILED}
        where affected.id = ${repositoryId}
      )`)
  if (undecided !== undefined)
    conditions.push(
      sql`${repositoryId} <> all(array${undecidedRepositories(JSON.parse(undecided) as Undecided, (id) => matchesQuery(id, query))})`,
    )
  return sql.join(conditions, sql` and `)
}

/**
 * The repositories of a registry that were first seen before `seenBefore`, and that `reconcile --apply` has not stored since
 * `since`. Times are ISO 8601.
 */
export type Unreconciled = { registry: string; seenBefore: string; since: string }

/** A table `silence`. */
export const unreconciledIn = (all: readonly Unreconciled[]): Part => sql`unnest(
          ${all.map(({ registry }) => registry)}::text[],
          ${all.map(({ seenBefore }) => seenBefore)}::timestamptz[],
          ${all.map(({ since }) => since)}::timestamptz[]
        ) as silence (registry, seen_before, since)`

/** The condition that joins repositories, as `affected`, with `silence`. */
export const IS_UNRECONCILED = sql`affected.registry = silence.registry
          and affected.first_seen_at < silence.seen_before and coalesce(affected.reconciled_at, '-infinity') <= silence.since`

/** The ids of the repository in the query; undefined without a repository. */
export const repositoryIdsOf = ({ repository_ids }: QueryParameters): number[] | undefined =>
  repository_ids?.split(',').filter(Boolean).map(Number)

const matchesQuery = (repositoryId: Part, query: QueryParameters): Part => {
  const { registry } = query
  const ids = repositoryIdsOf(query)
  if (ids) {
    return ids.length === 1 ? sql`${repositoryId} = ${ids[0]}::int` : sql`${repositoryId} = any(${ids}::int[])`
  }
  if (registry === undefined) return sql`true`
  // For an unknown registry, this condition alone is false, so that no row is read.
  return sql`(select true from inventory.repositories where registry = ${registry} limit 1)
    and exists (select from inventory.repositories where id = ${repositoryId} and registry = ${registry})`
}

/** Like isSelected, but for rows in the order of repositories: rows of other registries are skipped, not read. */
export const isSelectedInOrder = (repositoryId: Part, query: QueryParameters): Part =>
  query.registry === undefined || query.repository_ids !== undefined
    ? isSelected(repositoryId, query)
    : sql`${repositoryId} = any(array(select id from inventory.repositories where registry = ${query.registry}))`

/** `column = value`, if a value is given. */
export const same = (column: Part, value: string | undefined): Part =>
  value === undefined ? sql`true` : sql`${column} = ${value}`

/** A `bigint` column in a key. As text, because JavaScript rounds numbers above 2^53. */
export const bigintKey = (column: Part): Part => sql`(${column})::text`

/** Rows after a key, or up to a key (with `=`), in rising or falling order of all parts of the key. */
export const behind = (
  order: '>' | '<' | '<=' | '>=',
  after: Key | undefined,
  columns: readonly (readonly [Part, 'int' | 'bigint' | 'text' | 'timestamptz' | 'date' | 'uuid'])[],
): Part => {
  if (!after) return sql`true`
  const left = sql.join(columns.map(([column]) => column))
  const right = sql.join(columns.map(([, type], i) => sql`${after[i]}::${sql.raw(type)}`))
  return sql`(${left}) ${sql.raw(order)} (${right})`
}

/** Rows after `after`, up to and including `until`, in rising order. */
export const between = ({ after, until }: Pick<Page, 'after' | 'until'>, columns: Parameters<typeof behind>[2]): Part =>
  sql`${behind('>', after, columns)} and ${behind('<=', until, columns)}`

/** Media types as literals, because PostgreSQL only then recognises that a partial index has the condition. */
const oneOf = (types: ReadonlySet<string>): Part => sql.raw(`(${[...types].map((type) => `'${type}'`).join(', ')})`)

export const isIndexType = (mediaType: Part): Part => sql`${mediaType} in ${oneOf(INDEXES)}`
/** An index may also list blobs; an entry without a media type counts as a manifest. */
export const isManifestType = (mediaType: Part): Part =>
  sql`(${mediaType} is null or ${mediaType} in ${oneOf(MANIFESTS)})`

/** The newest event of blob `b`, or push of a manifest that has it. */
export const blobUsedAt: Part = sql`greatest(b.pushed_at, b.pulled_at, b.checked_at, b.mounted_at, b.manifest_at)`

/** Whether the size of an index proves that it lists nothing and has no subject. */
export const isEmptyIndexSize = (size: Part): Part =>
  sql`coalesce(${size} between 1 and ${SMALLEST_LISTING_INDEX - 1}, false)`

/** Whether a registry accepts a manifest with this layer although the repository lacks the layer. */
export const isForeignLayer = (mediaType: Part): Part => sql`coalesce(${mediaType} ~ ${sql.lit(FOREIGN_LAYER)}, false)`

/** An index may list indexes. No tool builds them deeper than this, but an event may state it. */
export const DEEPEST = 4

/**
 * The largest number of entries of indexes that are read per row, on all levels together: an index has about ten, rarely a
 * hundred. Digests in events may be made up, so that indexes list each other. Entries beyond this limit are unknown, and so do
 * not count as unused.
 */
export const MOST_FOLLOWED = 300

/**
 * Whether indexes lead to more than MOST_FOLLOWED entries, or deeper than DEEPEST, in a query of `followed` with its `level`.
 */
export const IS_CUT = sql`coalesce(
  (select count(*) > ${sql.lit(MOST_FOLLOWED)} or max(followed.level) > ${sql.lit(DEEPEST)} from followed), false)`

/** Manifests of one index whose sizes are added up. */
const MOST_ADDED_UP = 1_000
/** The most manifests, entries of indexes and blobs together whose sizes are added up. */
const MOST_SIZES = 5_000

/**
 * Bytes of everything that `digest` leads to in a repository: an image with its blobs, an index with its images and their
 * blobs, each once. A foreign layer counts if an event of the layer itself showed it in the repository. Null if the contents of
 * a manifest or the size of a part are unknown. Also null beyond MOST_ADDED_UP manifests, MOST_SIZES parts, or the level
 * DEEPEST. An index may list one image a hundred times: its blobs are read once. `offset 0` makes PostgreSQL look up each row
 * by key, whatever its statistics are.
 */
const wholeSize = (digest: Part, repositoryId: Part = sql`t.repository_id`): Part => sql`(
  with recursive listed (digest, level) as (
    select ${digest}, 0
    union all
    select c.digest, level + 1 from listed cross join lateral (
      select digest from inventory.manifest_children
      where manifest_digest = listed.digest and ${isManifestType(sql`media_type`)} offset 0
    ) c
    where level <= ${DEEPEST}
  ), named as materialized (
    select digest, level from listed limit ${MOST_ADDED_UP + 1}
  ), manifests as materialized (
    select distinct digest from named
    where (select count(*) <= ${MOST_ADDED_UP} and max(level) <= ${DEEPEST} from named)
  ), parts as materialized (
      select n.digest, m.size, coalesce(m.known, false) as known
        from manifests n left join lateral (
          select size, ${isKnownIn(sql`manifests`, registryOf(repositoryId))} as known from inventory.manifests where digest = n.digest offset 0
        ) m on true
      union all select c.digest, c.size, true
        from manifests n cross join lateral (
          select digest, size from inventory.manifest_children where manifest_digest = n.digest offset 0
        ) c
      union all select b.digest, coalesce(b.size, o.size), true
        from manifests n cross join lateral (
          select digest, size, media_type, ${isForeignLayer(sql`media_type`)} as is_foreign
          from inventory.manifest_blobs where manifest_digest = n.digest offset 0
        ) b
          left join lateral (
            select o.size, o.seen_at from inventory.repository_blobs o
            where (b.size is null or b.is_foreign) and o.repository_id = ${repositoryId} and o.digest = b.digest
            offset 0
          ) o on true
        where o.seen_at is not null or not b.is_foreign
      limit ${MOST_SIZES + 1}
  )
  select case when bool_and(known and size is not null) and (select count(*) <= ${MOST_SIZES} from parts) then ${clampedSum(sql`size`)} end
  from (
    select digest, max(size) as size, bool_and(known) as known from parts group by digest
  ) each_once
)`

/** The whole size for row `t`; also null if the contents of the manifest are unknown. */
export const wholeSizeIfKnown: Part = sql`(
  select case when ${isKnownIn(sql`m`, registryOf(sql`t.repository_id`))} then ${wholeSize(sql`t.digest`)} end
  from inventory.manifests m where m.digest = t.digest
)`

/**
 * The start of the digest to which tag `t` refers, in the formats of clients that keep referrers in tags: sha256-<hex>
 * (distribution-spec 1.1, "Referrers Tag Schema"), and sha256-<hex>.sig, .att and .sbom of cosign. Other endings and
 * unregistered algorithms count, too, so that such a tag is kept rather than deleted. Null for any other tag.
 */
const SUBJECT_OF_TAG = sql`replace(substring(t.name from ${sql.lit(
  `^(${SUBJECT_IN_TAG}|sha384-[0-9a-f]{64,96})(?:[.][a-zA-Z0-9._-]+)?$`,
)}), '-', ':')`

/**
 * Whether tag `t` is a referrer of a manifest that its repository has, or may have: deleting the tag would remove the signature
 * of an image in use. Only a reported delete shows that the manifest is gone.
 */
export const refersToLiveManifest: Part = sql`coalesce((
  select not exists (
    select from inventory.repository_manifests s
    where s.repository_id = t.repository_id and not s.live
      -- 'g' sorts after all hex digits: the tag may contain only the start of the digest.
      and s.digest >= subject.digest and s.digest < subject.digest || 'g'
  ) from (select ${SUBJECT_OF_TAG} as digest) subject where subject.digest is not null
), false)`

/**
 * The manifest that tag `t` points to. `offset 0` makes PostgreSQL look up each by its key, so that a page of tags ends early;
 * a join would first read all manifests of a large repository.
 */
export const manifestOf: Part = sql`(
  select repository_id, digest, pushed_at, pulled_at, checked_at, seen_at, deleted_at, moved_at
  from inventory.repository_manifests
  where repository_id = t.repository_id and digest = t.digest
  offset 0
)`

/**
 * Rows of several scans, one after the other, up to `limit`: a scan is not started if the scans before it fill the page.
 * @param scans each in order and limited; every row of a scan comes after all rows of the scans before it.
 */
export const oneAfterTheOther = (scans: readonly Part[], limit: number): Part => {
  const names = scans.map((_, i) => sql.ref(`scan_${i}`))
  const parts = scans.map((scan, i) => {
    const before = names.slice(0, i).map((name) => sql`(select count(*) from ${name})`)
    const isNeeded = before.length === 0 ? sql`true` : sql`${sql.join(before, sql` + `)} < ${limit}`
    return sql`${names[i]} as materialized (select * from (${scan}) s where ${isNeeded})`
  })
  const all = names.map((name) => sql`select * from ${name}`)
  return sql`with ${sql.join(parts)} ${sql.join(all, sql` union all `)}`
}
