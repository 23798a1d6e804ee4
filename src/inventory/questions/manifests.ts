import { sql } from 'kysely'
import { DIGEST, PLACE, type Question } from './question.js'
import { behind, iso, isIndexType, placedIn, same } from './sql-parts.js'

const COLUMNS = {
  registry: 'text',
  repository: 'text',
  digest: 'text',
  media_type: 'text',
  artifact_type: 'text',
  subject: 'text',
  os: 'text',
  architecture: 'text',
  size: 'bytes',
  pushed_at: 'time',
  used_at: 'time',
} as const
const described = sql`r.registry, r.name as repository, o.digest, m.media_type, m.artifact_type, m.subject, m.os, m.architecture, m.size,
      ${iso(sql`coalesce(o.pushed_at, o.first_seen_at)`)} as pushed_at, ${iso(sql`greatest(o.pushed_at, o.pulled_at, o.checked_at)`)} as used_at,
      jsonb_build_array(o.repository_id, o.digest) as key`
const placed = sql`inventory.repository_manifests o
      join inventory.repositories r on r.id = o.repository_id
      left join inventory.manifests m on m.digest = o.digest`
const byDigest = [
  [sql`o.repository_id`, 'int'],
  [sql`o.digest`, 'text'],
] as const

const manifests: Question = {
  name: 'manifests',
  answers:
    'Every live manifest of every repository, in the order in which repositories were first seen, and of digests.',
  definition:
    'Images, indexes and artifacts; one that is in two repositories is two rows. size is the bytes of the manifest alone. A manifest is live when it was seen after its last delete. used_at is its newest push, pull or check; empty where reconcile alone found it.',
  parameters: { digest: DIGEST, ...PLACE },
  columns: COLUMNS,
  key: ['id', 'text'],
  statement: (asked, { after, limit }) => sql`
    select ${described}
    from ${placed}
    where o.live and ${same(sql`o.digest`, asked.digest)} and ${placedIn(sql`o.repository_id`, asked)}
      and ${behind('>', after, byDigest)}
    order by o.repository_id, o.digest
    limit ${limit}`,
}

const untagged: Question = {
  name: 'untagged-manifests',
  answers: 'Live manifests that no tag leads to, in the order in which repositories were first seen, and of digests.',
  definition:
    'No live tag of the repository points to it, no live index there lists it, and it says of no manifest that is there (its subject) what that is. Repositories with a live index whose contents are not known are left out, since what it lists is not known. Subjects are known only of manifests that were read back or reconciled, not of those whose notification told their contents. Images that are pulled by digest are among them: look at used_at.',
  parameters: PLACE,
  columns: COLUMNS,
  key: ['id', 'text'],
  statement: (asked, { after, limit }) => sql`
    select ${described}
    from ${placed}
    where o.live and ${placedIn(sql`o.repository_id`, asked)} and ${behind('>', after, byDigest)}
      -- Once for the page: such indexes are few, and an index of the table has them alone.
      and not o.repository_id = any(array(
        select i.repository_id from inventory.manifests u
          join inventory.repository_manifests i on i.digest = u.digest
        where not u.contents_known and ${isIndexType(sql`u.media_type`)} and i.live and ${placedIn(sql`i.repository_id`, asked)}
      ))
      and not exists (
        select from inventory.tags t
        where t.repository_id = o.repository_id and t.digest = o.digest and t.live
          and t.pointed_at > coalesce(o.deleted_at, '-infinity')
      )
      and not exists (
        select from inventory.manifest_children c
          join inventory.repository_manifests i on i.repository_id = o.repository_id and i.digest = c.manifest_digest
        where c.digest = o.digest and i.live
      )
      and not exists (
        select from inventory.repository_manifests s
        where s.repository_id = o.repository_id and s.digest = m.subject and s.live
      )
    order by o.repository_id, o.digest
    limit ${limit}`,
}

const missingBlobs: Question = {
  name: 'missing-blobs',
  answers: 'Manifests that cannot be pulled, because a blob of theirs was deleted, with each missing blob.',
  definition:
    'The manifest is live in the repository, it has the blob, and the blob was deleted there and not seen since. Found by the summary, and looked at again for this answer.',
  parameters: PLACE,
  columns: {
    registry: 'text',
    repository: 'text',
    manifest_digest: 'text',
    blob_digest: 'text',
    size: 'bytes',
    deleted_at: 'time',
  },
  key: ['id', 'text', 'text'],
  fromSummary: true,
  statement: (asked, { after, limit }) => sql`
    select r.registry, r.name as repository, f.manifest_digest, f.digest as blob_digest, b.size,
      ${iso(sql`b.deleted_at`)} as deleted_at, jsonb_build_array(f.repository_id, f.manifest_digest, f.digest) as key
    from inventory.missing_blobs f
      join inventory.repositories r on r.id = f.repository_id
      join lateral (
        select b.size, b.deleted_at from inventory.repository_manifests o, inventory.repository_blobs b
        where o.repository_id = f.repository_id and o.digest = f.manifest_digest and o.live
          and b.repository_id = f.repository_id and b.digest = f.digest and not b.live
        offset 0
      ) b on true
    where ${placedIn(sql`f.repository_id`, asked)}
      and ${behind('>', after, [
        [sql`f.repository_id`, 'int'],
        [sql`f.manifest_digest`, 'text'],
        [sql`f.digest`, 'text'],
      ])}
    order by f.repository_id, f.manifest_digest, f.digest
    limit ${limit}`,
}

export const manifestQuestions: readonly Question[] = [manifests, untagged, missingBlobs]
