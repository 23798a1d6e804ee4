import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/database.js'

/**
 * Waits for those who learn what these manifests of a repository hold, and lets them wait until the transaction ends: they tell
 * every repository that has one of them (see expandManifests), and must see it before or after what is done to it, never between.
 */
export const lockManifestsOf = async (
  tx: Sql,
  repository: number,
  { which, after, most }: { which: RawBuilder<unknown>; after: string; most: number },
): Promise<void> => {
  await sql`
    insert into inventory.manifests as m (digest)
    select digest from inventory.repository_manifests o
    where repository_id = ${repository} and digest > ${after} and seen_at is not null and ${which}
    order by digest limit ${most}
    on conflict (digest) do update set size = m.size where false
  `.execute(tx)
}
