import { sql, type RawBuilder } from 'kysely'
import { isListedByLive, mayBeIndex } from './indexes-above.js'
import { isKnownIn } from '../model/known-in.js'
import { isMoving } from '../model/moving.js'
import { IS_PUSH_UNKNOWN } from './notes.js'
import { endOfBlobs } from './portions.js'
import { DIGEST, REPOSITORY_FILTER, type QueryParameters, type Question } from './question.js'
import {
  behind,
  between,
  bigintKey,
  blobUsedAt,
  isManifestType,
  IS_CUT,
  isSelected,
  isSelectedInOrder,
  same,
} from './sql-parts.js'
import { partsOf } from './uses.js'
import { isoText } from '../../storage/sql/moments.js'

const COLUMNS = {
  registry: 'text',
  repository: 'text',
  digest: 'text',
  size: 'bytes',
  pushed_at: 'time',
  used_at: 'time',
} as const
/**
 * When the first manifest that has the blob was seen. The blob existed by then, whenever an event first showed it. `offset 0`
 * makes PostgreSQL look up each row by key.
 */
const shownAt = sql`(
  select min(m.first_seen_at)
  from (select manifest_digest from inventory.manifest_blobs where digest = b.digest offset 0) p
    cross join lateral (
      select o.first_seen_at from inventory.repository_manifests o
      where o.repository_id = b.repository_id and o.digest = p.manifest_digest offset 0
    ) m
)`
const described = sql`r.registry, r.name as repository, b.digest, b.size,
      ${isoText(sql`coalesce(b.pushed_at, least(b.first_seen_at, ${shownAt}))`)} as pushed_at, ${isoText(blobUsedAt)} as used_at,
      b.pushed_at is null as ${sql.ref(IS_PUSH_UNKNOWN)}`

const byDigest = [
  [sql`b.repository_id`, 'int'],
  [sql`b.digest`, 'text'],
] as const

const isWanted = (query: QueryParameters): RawBuilder<unknown> => sql`b.live and ${same(sql`b.digest`, query.digest)}
      and ${(query.digest === undefined ? isSelectedInOrder : isSelected)(sql`b.repository_id`, query)}`

const blobs: Question = {
  name: 'blobs',
  answers: 'All live blobs of all repositories, ordered by repository, as first seen, then by digest.',
  definition:
    'Blobs are layers, configurations and other content that manifests list. A blob in two repositories has two rows. pushed_at is the newest push; if none is known, the time when the blob, or a manifest that lists it, was first seen. used_at is the newest push, mount, pull or check of the blob, or push of a manifest that lists it. If the contents of a manifest are unknown, the answer has only the blobs that an event showed.',
  parameters: { digest: DIGEST, ...REPOSITORY_FILTER },
  columns: COLUMNS,
  key: ['id', 'text'],
  unknown: ['contents', 'sizes'],
  portion: (query, after, size) =>
    endOfBlobs(
      (limit) => sql`
      select 0 as sort_key, b.repository_id, b.digest as name, b.digest, jsonb_build_array(b.repository_id, b.digest) as key, b.pushed_at is null as is_candidate
      from inventory.repository_blobs b
      where ${isWanted(query)} and ${behind('>', after, byDigest)}
      order by b.repository_id, b.digest
      limit ${limit}`,
      size,
      'asc',
    ),
  statement: (query, { limit, ...bounds }) => sql`
    select ${described}, jsonb_build_array(b.repository_id, b.digest) as key
    from inventory.repository_blobs b join inventory.repositories r on r.id = b.repository_id
    where ${isWanted(query)} and ${between(bounds, byDigest)}
    order by b.repository_id, b.digest
    limit ${limit}`,
}

/** Whether a manifest has blob `f` now: a live one, or one that no event showed and a live index lists. */
const isInManifest = sql`exists (
  select from (
    select manifest_digest from inventory.manifest_blobs where digest = f.digest
    union all select manifest_digest from inventory.manifest_children where digest = f.digest
  ) p left join lateral (
    select o.live from inventory.repository_manifests o
    where o.repository_id = f.repository_id and o.digest = p.manifest_digest offset 0
  ) m on true
  where case when m.live is not null then m.live else ${isListedByLive(sql`f.repository_id`, sql`p.manifest_digest`)} end
)`

/**
 * Repositories to which a manifest of unknown contents came since the summary. The summary has no finding in a repository with
 * an earlier one. If there is no finding, no manifest is read.
 */
const withUnknownContents = (query: QueryParameters): RawBuilder<unknown> => sql`array(
  select i.repository_id
  from inventory.manifests u
    join inventory.repository_manifests i on i.digest = u.digest
    join inventory.repositories r on r.id = i.repository_id
  where not u.contents_known and i.live and not ${isKnownIn(sql`u`, sql`r.registry`)} and ${isSelected(sql`i.repository_id`, query)}
    and exists (select from inventory.orphaned_blobs f where ${isSelected(sql`f.repository_id`, query)})
  union all
  select t.repository_id
  from (
    -- An index may have any number of tags.
    select distinct t.repository_id, t.digest from inventory.tags t
    where t.live and coalesce(t.pushed_at, t.first_seen_at) > (select as_of from inventory.totals) - interval '1 day'
      and ${isSelected(sql`t.repository_id`, query)}
  ) t
    join inventory.repositories r on r.id = t.repository_id
    left join lateral (select * from inventory.manifests where digest = t.digest offset 0) m on true
  where case when ${isKnownIn(sql`m`, sql`r.registry`)} is not true then true when ${mayBeIndex(sql`m.media_type`)} then exists (
      ${partsOf(sql`t.digest`)} select where ${IS_CUT}
      union all select from parts left join inventory.manifests c on c.digest = parts.digest
      where ${isManifestType(sql`parts.media_type`)} and ${isKnownIn(sql`c`, sql`r.registry`)} is not true
    ) else false end
)`

const bySize = [
  [sql`f.size`, 'bigint'],
  [sql`f.repository_id`, 'int'],
  [sql`f.digest`, 'text'],
] as const

const bySizeKey = sql`jsonb_build_array(${bigintKey(sql`f.size`)}, f.repository_id, f.digest)`

/** `offset 0` makes PostgreSQL look up each finding by its key until the page is full, whatever its statistics are. */
const orphanedBlobs: Question = {
  name: 'orphaned-blobs',
  offers: 'unreferenced',
  answers: 'Live blobs that no manifest of their repository lists, the largest first.',
  definition:
    'A blob is orphaned if the contents of all live manifests of its repository are known, and none of them lists the blob. In addition, no event of the last 24 hours before the newest event of the registry may be about the blob, because a client that pushes an image pushes the manifest last. A blob without a known push or mount is left out: it existed before the first event, and so may a manifest that lists it. An older blob that is pushed again looks new. The summary finds these blobs. Blobs that were deleted, used or listed by a manifest since then are left out. Blobs of unknown size come last.',
  parameters: REPOSITORY_FILTER,
  columns: COLUMNS,
  key: ['bigint', 'id', 'text'],
  fromSummary: true,
  unknown: ['contents', 'blobs'],
  afterDelete: {
    days: 1,
    leftOut:
      'blobs that an event of that time is about are left out, and are listed 24 hours after it if no manifest has them',
  },
  portion: (query, after, size) =>
    endOfBlobs(
      (limit) => sql`
      select f.size as sort_key, f.repository_id, f.digest as name, f.digest, ${bySizeKey} as key, true as is_candidate
      from inventory.orphaned_blobs f
      where ${isSelected(sql`f.repository_id`, query)} and ${behind('<', after, bySize)}
      order by f.size desc, f.repository_id desc, f.digest desc
      limit ${limit}`,
      size,
      'desc',
    ),
  statement: (query, { after, until, limit }) => sql`
    select ${described}, ${bySizeKey} as key
    from inventory.orphaned_blobs f
      join lateral (
        select * from inventory.repository_blobs b
        where b.repository_id = f.repository_id and b.digest = f.digest and b.live
          and b.implied = f.implied and b.manifest_at is not distinct from f.manifest_at
          and ${blobUsedAt} is not distinct from f.used_at and not ${isInManifest}
        offset 0
      ) b on true
      join inventory.repositories r on r.id = f.repository_id
    where ${isSelected(sql`f.repository_id`, query)} and not ${isMoving(sql`f.repository_id`)}
      -- Evaluated once for the page.
      and not f.repository_id = any(${withUnknownContents(query)})
      and ${behind('<', after, bySize)} and ${behind('>=', until, bySize)}
    order by f.size desc, f.repository_id desc, f.digest desc
    limit ${limit}`,
}

export const blobQuestions: readonly Question[] = [blobs, orphanedBlobs]
