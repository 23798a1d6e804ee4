import { sql, type RawBuilder } from 'kysely'
import { entriesListing, entriesOf } from '../model/index-entries.js'
import type { Key, PortionSize } from './question.js'

type Part = RawBuilder<unknown>

/**
 * The cost of a digest for which everything is read that may be read: see MOST_FOLLOWED and MOST_SIZES. A digest without any
 * list costs 1.
 */
const MOST_OF_DIGEST = 40
/**
 * So many blobs of an image, whose sizes are added up, increase its cost by one; and so many manifests that a digest lists, or
 * that list it.
 */
const BLOBS_FOR_ONE = 20
const LISTED_FOR_ONE = 5
/** With more manifests that it lists, or that list it, a digest has the greatest cost. */
const MOST_LISTED = 20

/**
 * The cost of the first candidate of a digest `s.digest`. Indexes of images, as in real registries, cost little. A digest with
 * more than one level below it has the greatest cost; how many levels there are is not checked.
 */
const COST_OF_DIGEST = sql`(
  select case when listed > ${sql.lit(MOST_LISTED)} or listed > 0 and (
      exists (
        select from ${entriesOf(sql`s.digest`, MOST_LISTED)} c
          cross join lateral ${entriesOf(sql`c.digest`, 1)} below
      ) or exists (
        select from ${entriesListing(sql`s.digest`, MOST_LISTED)} c
          cross join lateral ${entriesListing(sql`c.manifest_digest`, 1)} above
      )
    ) then ${sql.lit(MOST_OF_DIGEST)}
    else 1 + listed / ${sql.lit(LISTED_FOR_ONE)} + (select count(*) from (
      select from inventory.manifest_blobs where manifest_digest = s.digest limit ${sql.lit(MOST_OF_DIGEST * BLOBS_FOR_ONE)}
    ) b) / ${sql.lit(BLOBS_FOR_ONE)} end
  from (
    select count(*) as listed from (
      select from ${entriesOf(sql`s.digest`, MOST_LISTED + 1)} listed
      union all select from ${entriesListing(sql`s.digest`, MOST_LISTED + 1)} listing
    ) c
  ) counted
)`

/** The most manifests for which one statement looks up whether a repository has them. */
const MOST_MANIFESTS = 20_000
const MOST_BLOBS = 100

/**
 * The end of a portion of blobs `s`, for a statement that reads all manifests of each blob: 100,000 manifests may have a base
 * layer.
 */
export const endOfBlobs = (
  scan: (limit: number) => Part,
  { candidates }: PortionSize,
  direction: 'asc' | 'desc',
): ReturnType<typeof endOfPortion> => {
  const most = Math.min(candidates, MOST_BLOBS)
  const manifests = sql`(select count(*)::int from (
    select from inventory.manifest_blobs p where p.digest = s.digest
    union all select from inventory.manifest_children c where c.digest = s.digest
    limit ${MOST_MANIFESTS}
  ) p)`
  const size = { candidates: most, scanned: most, cost: MOST_MANIFESTS }
  return endOfPortion(scan(most), size, { cost: manifests, direction })
}

type Costs = { cost: Part; direction: 'asc' | 'desc' }

/**
 * How far one statement may go. Values that depend only on the digest are computed once, so further rows of a digest cost little.
 * @param scan a query of the next rows in their order, at most `scanned`, with the columns `sort_key`, `repository_id` and `name`
 * (the order), `digest`, `key`, and `is_candidate`: whether the row meets the conditions that read only the row and its manifest
 */
export const endOfPortion = (
  scan: Part,
  { candidates, scanned, cost: mostCost }: PortionSize,
  { cost, direction }: Costs = { cost: COST_OF_DIGEST, direction: 'asc' },
): RawBuilder<{ key: Key; is_last: boolean }> => {
  const order = sql.raw(['sort_key', 'repository_id', 'name'].map((column) => `${column} ${direction}`).join())
  return sql`
  with scan as materialized (${scan}), costs as (
    select sort_key, repository_id, name, key,
      -- Rows beyond the candidates are not in the portion.
      case when not is_candidate or row_number() over (partition by is_candidate order by ${order}) > ${candidates + 1} then 0
        when row_number() over (partition by is_candidate, repository_id, digest order by ${order}) > 1 then 1
        else ${cost} end as cost,
      is_candidate
    from scan s
  ), sums as (
    select key, sum(cost) over so_far as cost, count(*) filter (where is_candidate) over so_far as candidates, row_number() over so_far as number
    from costs
    window so_far as (order by ${order} rows unbounded preceding)
  )
  select key, number = (select count(*) from scan) and number < ${scanned} as is_last
  from sums
  where number = 1 or (cost <= ${mostCost} and candidates <= ${candidates})
  order by number desc
  limit 1`
}
