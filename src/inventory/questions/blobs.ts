import { sql } from 'kysely'
import { DIGEST, PLACE, type Question } from './question.js'
import { behind, iso, placedIn, placedInOrder, same } from './sql-parts.js'

const COLUMNS = {
  registry: 'text',
  repository: 'text',
  digest: 'text',
  size: 'bytes',
  pushed_at: 'time',
  used_at: 'time',
} as const
const described = sql`r.registry, r.name as repository, b.digest, b.size,
      ${iso(sql`coalesce(b.pushed_at, b.mounted_at, b.first_seen_at, b.manifest_at)`)} as pushed_at, ${iso(sql`greatest(b.pushed_at, b.pulled_at, b.checked_at, b.mounted_at, b.manifest_at)`)} as used_at`

const blobs: Question = {
  name: 'blobs',
  answers: 'Every live blob of every repository, in the order in which repositories were first seen, and of digests.',
  definition:
    'Layers, configurations and whatever else manifests have; one that is in two repositories is two rows. used_at is the newest push, mount, pull or check of the blob, or push of a manifest that has it.',
  parameters: { digest: DIGEST, ...PLACE },
  columns: COLUMNS,
  key: ['id', 'text'],
  statement: (asked, { after, limit }) => sql`
    select ${described}, jsonb_build_array(b.repository_id, b.digest) as key
    from inventory.repository_blobs b join inventory.repositories r on r.id = b.repository_id
    where b.live and ${same(sql`b.digest`, asked.digest)}
      and ${(asked.digest === undefined ? placedInOrder : placedIn)(sql`b.repository_id`, asked)}
      and ${behind('>', after, [
        [sql`b.repository_id`, 'int'],
        [sql`b.digest`, 'text'],
      ])}
    order by b.repository_id, b.digest
    limit ${limit}`,
}

/** `offset 0` makes PostgreSQL look each finding up by its key until the page is full, whatever it believes of the tables. */
const orphanedBlobs: Question = {
  name: 'orphaned-blobs',
  answers: 'Live blobs that no live manifest of their repository has, the largest first.',
  definition:
    'Also the blobs of manifests whose contents are not known yet, and of images that are being pushed: look at pushed_at. Found by the summary; those that were deleted or came into a manifest since are left out.',
  parameters: PLACE,
  columns: COLUMNS,
  key: ['number', 'id', 'text'],
  fromSummary: true,
  statement: (asked, { after, limit }) => sql`
    select ${described}, jsonb_build_array(f.size, f.repository_id, f.digest) as key
    from inventory.orphaned_blobs f
      join lateral (
        select * from inventory.repository_blobs b
        where b.repository_id = f.repository_id and b.digest = f.digest and b.live
          and b.implied = f.implied and b.manifest_at is not distinct from f.manifest_at
        offset 0
      ) b on true
      join inventory.repositories r on r.id = f.repository_id
    where ${placedIn(sql`f.repository_id`, asked)}
      and ${behind('<', after, [
        [sql`f.size`, 'bigint'],
        [sql`f.repository_id`, 'int'],
        [sql`f.digest`, 'text'],
      ])}
    order by f.size desc, f.repository_id desc, f.digest desc
    limit ${limit}`,
}

export const blobQuestions: readonly Question[] = [blobs, orphanedBlobs]
