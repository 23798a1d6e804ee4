import { sql } from 'kysely'
import type { Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/database.js'
import type { Held } from './held.js'
import { nothingAt, type Found } from './walk.js'

/** What a reconciliation of a pull-through cache did not check, because the cache would have fetched it from its upstream. */
export type NotChecked = { repositories: number; tags: number; manifests: number; blobs: number }

/**
 * What a cache shows of one repository. Its catalog is all that it answers by itself: it lists the repositories that something
 * was pulled through. A cache resolves a tag at its upstream, and fetches a manifest or blob that has expired. So a repository
 * that the catalog lists is not asked for, and of one that is not listed nothing is stored.
 */
export const foundInCache = (isListed: boolean, held: Held, at: Micros): Found => {
  const found = nothingAt(at)
  if (isListed) return found
  const live = (objects: Held['blobs']): Set<string> =>
    new Set([...objects].flatMap(([digest, object]) => (object.live ? [digest] : [])))
  return { ...found, absentManifests: live(held.manifests), absentBlobs: live(held.blobs) }
}

/** Counts what the inventory contains of the repositories that a cache lists. */
export const countNotChecked = async (db: Sql, registry: string, listed: readonly string[]): Promise<NotChecked> => {
  const { rows } = await sql<NotChecked>`
    with places as materialized (
      select id from inventory.repositories where registry = ${registry} and name = any(${listed}::text[])
    ), live as materialized (
      select 'manifest' as what, id from places join inventory.repository_manifests o on o.repository_id = id where o.live
      union all
      select 'blob', id from places join inventory.repository_blobs o on o.repository_id = id where o.live
      union all
      select 'tag', id from places join inventory.live_tags t on t.repository_id = id
    )
    select count(distinct id)::int as repositories, count(*) filter (where what = 'tag')::int as tags,
      count(*) filter (where what = 'manifest')::int as manifests, count(*) filter (where what = 'blob')::int as blobs
    from live
  `.execute(db)
  return rows[0] ?? { repositories: 0, tags: 0, manifests: 0, blobs: 0 }
}
