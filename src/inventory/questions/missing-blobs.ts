import { sql } from 'kysely'
import { isMoving } from '../model/moving.js'
import { REPOSITORY_FILTER, type Question } from './question.js'
import { behind, isSelected } from './sql-parts.js'
import { isoText } from '../../storage/sql/moments.js'

/** Tags that a row names; its count includes all. */
const MOST_TAGS = 10

/** Entries of an index that are searched for the platform of a part. */
const MOST_ENTRIES = 1_000

/** Whether the part is missing now, as a blob or a manifest, and since when. */
const missing = sql`
  select b.size, b.deleted_at from inventory.repository_blobs b
  where f.part = 'blob' and b.repository_id = f.repository_id and b.digest = f.digest and not b.live
  union all
  select m.size, c.deleted_at
  from inventory.repository_manifests c left join inventory.manifests m on m.digest = c.digest
  where f.part = 'manifest' and c.repository_id = f.repository_id and c.digest = f.digest and not c.live`

const missingBlobs: Question = {
  name: 'missing-blobs',
  answers:
    'Manifests that cannot be pulled because a blob or a manifest that they need was deleted. There is one row for each missing part.',
  definition:
    'The manifest is live in the repository and needs the part, and the part was deleted there and not seen since. An index needs the manifests that it lists, and all their parts. It has a row for each missing part, at most 20 from one manifest and about 100 in total. This applies to three levels of indexes; indexes above them count among the manifests of unknown contents. part is blob or manifest. os and architecture come from the entry of the index through which the part is missing. tags counts the live tags that point to the manifest, and are therefore broken; tag_names has the first ten. A part that was never seen in the repository does not count as missing, because some clients push an index without all its manifests. The summary finds these parts, and this answer verifies them.',
  parameters: REPOSITORY_FILTER,
  columns: {
    registry: 'text',
    repository: 'text',
    manifest_digest: 'text',
    part: 'text',
    blob_digest: 'text',
    os: 'text',
    architecture: 'text',
    tags: 'count',
    tag_names: 'text',
    size: 'bytes',
    deleted_at: 'time',
  },
  key: ['id', 'text', 'text'],
  fromSummary: true,
  unknown: ['contents'],
  rowsAtOnce: 250,
  statement: (query, { after, limit }) => sql`
    with found as materialized (
    select f.*, b.size, b.deleted_at
    from inventory.missing_blobs f
      join lateral (
        select true as live from inventory.repository_manifests o
        where o.repository_id = f.repository_id and o.digest = f.manifest_digest and o.live
        offset 0
      ) o on true
      join lateral (${missing} limit 1) b on true
    where ${isSelected(sql`f.repository_id`, query)} and not ${isMoving(sql`f.repository_id`)}
      and ${behind('>', after, [
        [sql`f.repository_id`, 'int'],
        [sql`f.manifest_digest`, 'text'],
        [sql`f.digest`, 'text'],
      ])}
    order by f.repository_id, f.manifest_digest, f.digest
    limit ${limit}
    ), tagged as materialized (
      select f.repository_id, f.manifest_digest, t.tags, t.tag_names
      from (select distinct repository_id, manifest_digest from found) f cross join lateral (
        select count(*) as tags, string_agg(t.name, ', ' order by t.name) filter (where t.number <= ${MOST_TAGS}) as tag_names
        from (
          select t.name, row_number() over (order by t.name) as number from inventory.live_tags t
          where t.repository_id = f.repository_id and t.digest = f.manifest_digest
        ) t
      ) t
    )
    select r.registry, r.name as repository, f.manifest_digest, f.part, f.digest as blob_digest, e.os, e.architecture,
      t.tags, t.tag_names, f.size, ${isoText(sql`f.deleted_at`)} as deleted_at,
      jsonb_build_array(f.repository_id, f.manifest_digest, f.digest) as key
    from found f
      join tagged t on t.repository_id = f.repository_id and t.manifest_digest = f.manifest_digest
      join inventory.repositories r on r.id = f.repository_id
      left join lateral (
        select c.os, c.architecture
        from (
          select digest, os, architecture, position from inventory.manifest_children
          where manifest_digest = f.manifest_digest order by position limit ${MOST_ENTRIES}
        ) c
        where c.digest = coalesce(f.through, f.digest)
        order by c.position limit 1
      ) e on true
    order by f.repository_id, f.manifest_digest, f.digest`,
}

export const missingBlobsQuestions: readonly Question[] = [missingBlobs]
