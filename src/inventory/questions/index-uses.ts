import { sql, type RawBuilder } from 'kysely'
import { digestChangedAt } from './changed.js'
import { hasIndexAbove } from './indexes-above.js'
import type { QueryParameters } from './question.js'
import { isUnchangedIndex } from './unchanged-indexes.js'
import { headAt, latestUses, usesWithout } from './uses.js'

type Part = RawBuilder<unknown>

/**
 * Whether a client requested an index `i`, a row of repository_manifests, since a moment, or a push changed its digest. Kinds
 * of clients that do not count are left out. An index without any known time does not count as unused.
 * @param isChanged whether a push since the moment changed the index, if it was pushed since then
 */
export const wasIndexUsed = (
  moment: Part,
  { without_kind }: QueryParameters,
  isChanged = sql`${digestChangedAt(sql`i`)} >= ${moment}`,
): Part => sql`(
  select case when i.pushed_at is null and u.used_at is null then coalesce(i.first_seen_at >= ${moment}, true)
    when u.used_at >= ${moment} then true
    when i.pushed_at >= ${moment} then ${isChanged}
    else false end
  from ${usesWithout(sql`select greatest(i.pulled_at, ${headAt(sql`i`)}) as used_at, i.pulled_at`, {
    without_kind,
    repositoryId: sql`i.repository_id`,
    latest: [latestUses(sql`i.repository_id`, sql`array[i.digest]`, { without_kind })],
    firstSeenAt: sql`i.first_seen_at`,
    movedAt: sql`i.moved_at`,
  })} u
)`

/**
 * Whether an index that lists a manifest, directly or through others, was used since a moment: the index needs everything that
 * it lists. A use of another image in the index does not count. The query must contain the parts of `unchangedIndexes` for all
 * its manifests.
 */
export const isNeededByIndex = (repositoryId: Part, digest: Part, moment: Part, query: QueryParameters): Part =>
  hasIndexAbove(
    repositoryId,
    digest,
    sql`select from above cross join lateral (
      select * from inventory.repository_manifests o
      where o.repository_id = ${repositoryId} and o.digest = above.digest and o.live offset 0
    ) i where ${wasIndexUsed(moment, query, sql`not ${isUnchangedIndex(sql`i.repository_id`, sql`i.digest`)}`)}`,
  )
