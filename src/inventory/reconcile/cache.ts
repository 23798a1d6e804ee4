import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import type { RecordedState } from './recorded-state.js'
import { nothingAt, type Found } from './read-repository.js'

/** What a run did not check in a pull-through cache, because the cache would have fetched it from its upstream. */
export type NotChecked = { repositories: number; tags: number; manifests: number; blobs: number }

/**
 * What a cache shows of one repository. A cache answers only its catalog by itself: the repositories that clients pulled
 * through it. It resolves a tag at its upstream, and fetches a manifest or blob that has expired. So a repository in the
 * catalog is not read, and a repository that is not in the catalog has no stored objects.
 * @param shown digests of manifests that were seen since `at`, and of all that they list: they exist, whatever their own times
 * are
 */
export const foundInCache = (
  isListed: boolean,
  recorded: RecordedState,
  at: Micros,
  shown: ReadonlySet<string>,
): Found => {
  const found = nothingAt(at)
  if (isListed) return found
  const absent = (objects: RecordedState['blobs']): Set<string> =>
    new Set([...objects].flatMap(([digest, object]) => (object.live && !shown.has(digest) ? [digest] : [])))
  return { ...found, absentManifests: absent(recorded.manifests), absentBlobs: absent(recorded.blobs) }
}

/**
 * The digests of manifests that were seen since a moment, and of all that they list, down to blobs. A pull of a manifest shows
 * that its blobs exist, but does not change their times.
 */
export const shownSince = async (
  db: Sql,
  { registry, repository, at }: { registry: string; repository: string; at: Micros },
): Promise<Set<string>> => {
  const { rows } = await sql<{ digest: string }>`
    with recursive shown (digest) as (
      select m.digest from inventory.repositories r join inventory.repository_manifests m on m.repository_id = r.id
      where r.registry = ${registry} and r.name = ${repository} and m.seen_at >= ${isoTime(at)}
      union
      select c.digest from shown join inventory.manifest_children c on c.manifest_digest = shown.digest
    )
    select digest from shown
    union select b.digest from shown join inventory.manifest_blobs b on b.manifest_digest = shown.digest
  `.execute(db)
  return new Set(rows.map(({ digest }) => digest))
}

/** Counts what the inventory contains in the repositories that a cache lists. */
export const countNotChecked = async (db: Sql, registry: string, listed: readonly string[]): Promise<NotChecked> => {
  const { rows } = await sql<NotChecked>`
    with listed as materialized (
      select id from inventory.repositories where registry = ${registry} and name = any(${listed}::text[])
    ), live as materialized (
      select 'manifest' as what, id from listed join inventory.repository_manifests o on o.repository_id = id where o.live
      union all
      select 'blob', id from listed join inventory.repository_blobs o on o.repository_id = id where o.live
      union all
      select 'tag', id from listed join inventory.live_tags t on t.repository_id = id
    )
    select count(distinct id)::int as repositories, count(*) filter (where what = 'tag')::int as tags,
      count(*) filter (where what = 'manifest')::int as manifests, count(*) filter (where what = 'blob')::int as blobs
    from live
  `.execute(db)
  return rows[0] ?? { repositories: 0, tags: 0, manifests: 0, blobs: 0 }
}
