import { sql, type RawBuilder } from 'kysely'
import { INDEXES, MANIFESTS } from '../../events/target.js'
import type { Asked, Key } from './question.js'

type Part = RawBuilder<unknown>

/** A moment as ISO 8601 in UTC with microseconds. */
export const iso = (moment: Part): Part => sql`to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

/**
 * Whether a row is in the repository or registry that was asked for. A repository is told by its ids: PostgreSQL plans a page
 * of a large one well only when it sees which it is. A registry has many, so rows are read in order until the page is full.
 */
export const placedIn = (repositoryId: Part, { registry, repository_ids }: Asked): Part => {
  if (repository_ids !== undefined) {
    const ids = repository_ids.split(',').filter(Boolean).map(Number)
    return ids.length === 1 ? sql`${repositoryId} = ${ids[0]}::int` : sql`${repositoryId} = any(${ids}::int[])`
  }
  if (registry === undefined) return sql`true`
  // A registry that nobody knows is told from that alone, before any row is read.
  return sql`(select true from inventory.repositories where registry = ${registry} limit 1)
    and exists (select from inventory.repositories where id = ${repositoryId} and registry = ${registry})`
}

/** The same for rows that come in the order of repositories: those of other registries are passed over, not read. */
export const placedInOrder = (repositoryId: Part, asked: Asked): Part =>
  asked.registry === undefined || asked.repository_ids !== undefined
    ? placedIn(repositoryId, asked)
    : sql`${repositoryId} = any(array(select id from inventory.repositories where registry = ${asked.registry}))`

/** `column = value`, if a value was asked for. */
export const same = (column: Part, value: string | undefined): Part =>
  value === undefined ? sql`true` : sql`${column} = ${value}`

/** Rows behind the last of the page before, in rising or falling order of all parts of the key. */
export const behind = (
  order: '>' | '<',
  after: Key | undefined,
  columns: readonly (readonly [Part, 'int' | 'bigint' | 'text' | 'timestamptz' | 'date' | 'uuid'])[],
): Part => {
  if (!after) return sql`true`
  const left = sql.join(columns.map(([column]) => column))
  const right = sql.join(columns.map(([, type], i) => sql`${after[i]}::${sql.raw(type)}`))
  return sql`(${left}) ${sql.raw(order)} (${right})`
}

/** As literals: only so PostgreSQL sees that an index has the condition. */
const oneOf = (types: ReadonlySet<string>): Part => sql.raw(`(${[...types].map((type) => `'${type}'`).join(', ')})`)

export const isIndexType = (mediaType: Part): Part => sql`${mediaType} in ${oneOf(INDEXES)}`
/** An index may list blobs as well; what has no media type is taken for a manifest. */
export const isManifestType = (mediaType: Part): Part =>
  sql`(${mediaType} is null or ${mediaType} in ${oneOf(MANIFESTS)})`

/**
 * Bytes of all that `digest` names: an image with its blobs, an index with its images and theirs, each once. Layers that may
 * not be distributed are kept elsewhere. Null while the contents of an image of an index are not known. An index may list one
 * image a thousand times: its blobs are read once.
 */
export const wholeSize = (digest: Part): Part => sql`(
  select case when bool_and(known) then sum(size)::bigint end from (
    select digest, size, bool_and(known) as known from (
      select digest, size, true as known, null as media_type from inventory.manifests where digest = ${digest}
      union all select digest, size, true, media_type from inventory.manifest_blobs where manifest_digest = ${digest}
      union all select c.digest, c.size, not ${isManifestType(sql`c.media_type`)} or coalesce(
        (select m.contents_known from inventory.manifests m where m.digest = c.digest), false), null
        from inventory.manifest_children c where c.manifest_digest = ${digest}
      union all select b.digest, b.size, true, b.media_type
        from (select distinct digest from inventory.manifest_children where manifest_digest = ${digest}) c
          join inventory.manifest_blobs b on b.manifest_digest = c.digest
    ) parts
    where media_type is null or media_type !~ 'foreign|nondistributable'
    group by digest, size
  ) each_once
)`

/**
 * The manifest that tag `t` points to. `offset 0` has each looked up by its key, so that a page of tags ends early; a join
 * would first read all manifests of a large repository.
 */
export const manifestOf: Part = sql`(
  select deleted_at, pulled_at, checked_at, greatest(pushed_at, pulled_at, checked_at) as used_at
  from inventory.repository_manifests
  where repository_id = t.repository_id and digest = t.digest
  offset 0
)`
