import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { createPause } from '../../runtime/yield.js'
import { isListed } from '../model/index-entries.js'
import { isNeededByIndex, wasIndexUsed } from './index-uses.js'
import type { QueryParameters } from './question.js'
import { unchangedIndexes } from './unchanged-indexes.js'
import { unknownIndexes } from './unknown-indexes.js'

type Part = RawBuilder<unknown>

/**
 * Indexes of unknown contents whose uses are looked up: of one repository; and, of those that other indexes list, of one
 * repository and of all. In real repositories, few are listed. Further indexes count as used.
 */
const MOST_IN_REPOSITORY = 10_000
const MOST_LISTED = { inRepository: 100, inAll: 300 }
/** The number of indexes for which one statement looks up the uses of all indexes above: each may have 300 indexes above it. */
const LISTED_AT_ONCE = 30

type Found = { repository_id: number; digest: string | null }

/**
 * Repositories with an index that was used itself, without `digest`; and, of other repositories, the indexes that other indexes
 * list.
 */
const ownUses = (moment: Part, query: QueryParameters): RawBuilder<Found> => sql`
  with found as materialized (
    select *, count(*) over (partition by repository_id) as of_repository
    from (select distinct repository_id, digest from ${unknownIndexes(query)} x) x
  ), looked_up as materialized (
    select x.repository_id, x.digest,
      case when of_repository > ${MOST_IN_REPOSITORY} then true else ${wasIndexUsed(moment, query)} end as is_used,
      ${isListed(sql`x.digest`)} as is_listed
    from found x join inventory.repository_manifests i on i.repository_id = x.repository_id and i.digest = x.digest
  ), used as materialized (
    select distinct repository_id from looked_up where is_used
  ), listed as (
    select repository_id, digest, count(*) over (partition by repository_id) as of_repository,
      row_number() over (order by repository_id, digest) as number
    from looked_up where is_listed and repository_id not in (select repository_id from used)
  )
  select repository_id, null as digest from used
  union
  select repository_id, case when of_repository <= ${MOST_LISTED.inRepository} and number <= ${MOST_LISTED.inAll} then digest end
  from listed`

/** Repositories in which an index was used that lists one of `listed`, directly or through others. */
const usesAbove = (listed: readonly Found[], moment: Part, query: QueryParameters): RawBuilder<Found> => sql`
  with i as materialized (
    select * from unnest(${listed.map(({ repository_id }) => repository_id)}::int[], ${listed.map(({ digest }) => digest)}::text[])
      as i (repository_id, digest)
  ), ${unchangedIndexes(sql`select * from i`, moment)}
  select distinct i.repository_id, null as digest
  from i
  where ${isNeededByIndex(sql`i.repository_id`, sql`i.digest`, moment, query)}`

/**
 * With `unused_for`, adds the repositories in which an index of unknown contents was used since then: it may list any image
 * there. Other events are handled between statements.
 */
export const withUsedUnknownIndexes = async (db: Sql, query: QueryParameters): Promise<QueryParameters> => {
  if (query.unused_for === undefined) return query
  const moment = sql`${query.unused_for}::timestamptz`
  const pause = createPause()
  const { rows } = await ownUses(moment, query).execute(db)
  const used = new Set(rows.flatMap(({ repository_id, digest }) => (digest === null ? [repository_id] : [])))
  const listed = rows.filter(({ repository_id, digest }) => digest !== null && !used.has(repository_id))
  for (let i = 0; i < listed.length; i += LISTED_AT_ONCE) {
    await pause()
    const found = await usesAbove(listed.slice(i, i + LISTED_AT_ONCE), moment, query).execute(db)
    for (const { repository_id } of found.rows) used.add(repository_id)
  }
  return { ...query, used_unknown: [...used].join() }
}

/** Whether the repository of tag `t` has such an index. Without the result of `withUsedUnknownIndexes`, any repository may. */
export const hasUsedUnknownIndex = ({ used_unknown }: QueryParameters): Part =>
  used_unknown === undefined
    ? sql`true`
    : sql`t.repository_id = any(${used_unknown.split(',').filter(Boolean).map(Number)}::int[])`
