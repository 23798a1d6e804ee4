import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { BLOB, MANIFEST, mergeOnConflict } from './merge-rows.js'

/** Objects of one repository that a registry showed to Tallyman. */
type Confirmed = {
  registry: string
  repository: string
  at: Micros
  manifests: readonly string[]
  blobs: readonly { digest: string; size?: number | undefined }[]
}

/**
 * Stores that a registry showed manifests and blobs to Tallyman: they are live, which is no use of them. This is a separate
 * statement, because no event confirms a blob, and batches of events should not pay for another column. The row of the
 * repository exists already.
 */
export const confirmObjects = async (
  tx: Sql,
  { registry, repository, at, manifests, blobs }: Confirmed,
): Promise<void> => {
  const moment = isoTime(at)
  if (manifests.length > 0) {
    await sql`
      insert into inventory.repository_manifests as o (repository_id, digest, confirmed_at, first_seen_at, deleted_at)
      select r.id, seen.digest, ${moment}::timestamptz, ${moment}::timestamptz, r.deleted_at
      from inventory.repositories r cross join unnest(${manifests}::text[]) as seen (digest)
      where r.registry = ${registry} and r.name = ${repository}
      order by seen.digest
      ${sql.raw(mergeOnConflict(MANIFEST))}
    `.execute(tx)
    // Contents that only other registries stated are no longer known in every registry that has the manifest.
    await sql`
      update inventory.manifests set contents_known = false, attempts = 0, next_attempt_at = now()
      where digest = any(${manifests}::text[]) and contents_known and ${registry} <> all(stated_by)
    `.execute(tx)
  }
  if (blobs.length > 0) {
    await sql`
      insert into inventory.repository_blobs as o (repository_id, digest, size, confirmed_at, first_seen_at, deleted_at)
      select r.id, seen.digest, seen.size, ${moment}::timestamptz, ${moment}::timestamptz, r.deleted_at
      from inventory.repositories r
        cross join unnest(${blobs.map(({ digest }) => digest)}::text[], ${blobs.map(({ size }) => size ?? null)}::bigint[])
          as seen (digest, size)
      where r.registry = ${registry} and r.name = ${repository}
      order by seen.digest
      ${sql.raw(mergeOnConflict(BLOB))}
    `.execute(tx)
  }
}

/**
 * Stores that the inventory contains all tags which the registry lists for a repository. Must be called after everything that
 * was found at that moment is stored.
 */
export const markReconciled = async (
  db: Sql,
  { registry, repository, at }: Pick<Confirmed, 'registry' | 'repository' | 'at'>,
): Promise<void> => {
  await sql`
    update inventory.repositories set reconciled_at = ${isoTime(at)}::timestamptz
    where registry = ${registry} and name = ${repository}
      and coalesce(reconciled_at, '-infinity') < ${isoTime(at)}::timestamptz
  `.execute(db)
}
