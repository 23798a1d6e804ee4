import { sql, type RawBuilder } from 'kysely'
import type { Key, PortionSize } from './question.js'

type Part = RawBuilder<unknown>

/** What a portion may cost, in rows that list nothing. */
const MOST_COST = 1_001
const COST_OF_CANDIDATE = 10
/** A row whose digest lists manifests, or is listed: what it leads to is read to a bound, see MOST_FOLLOWED and MOST_SIZES. */
const COST_OF_LISTING = 40
/** Blobs of an image, whose sizes are added up, for which it costs one more. */
const BLOBS_FOR_ONE = 5

/** What a candidate costs that is the first of its digest `s.digest`. */
const COST_OF_DIGEST = sql`case
  when (select true from inventory.manifest_children where manifest_digest = s.digest limit 1)
    or (select true from inventory.manifest_children c where c.digest = s.digest limit 1) then ${sql.lit(COST_OF_LISTING)}
  else 1 + (select count(*) from (
    select from inventory.manifest_blobs where manifest_digest = s.digest limit ${sql.lit(COST_OF_LISTING * BLOBS_FOR_ONE)}
  ) b) / ${sql.lit(BLOBS_FOR_ONE)} end`

/** Manifests of which one statement looks up whether a repository has them. */
const MOST_MANIFESTS = 20_000
const MOST_BLOBS = 100

/** A portion of blobs `s`, if a statement looks at all manifests that have the blob: 100,000 may have a base layer. */
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
  const costs = { cost: manifests, mostCost: MOST_MANIFESTS, direction }
  return endOfPortion(scan(most), { candidates: most, scanned: most }, costs)
}

type Costs = { cost: Part; mostCost: number; direction: 'asc' | 'desc' }

/**
 * How far one statement may go. What it computes for a digest is computed once, so that further rows of the digest cost little.
 * @param scan a query of the next rows in their order, at most `scanned`: `place`, `repository_id`, `name`, which are the order, `digest`,
 * `key`, and `is_candidate`, whether the row passes the conditions that read no more than the row and its manifest
 */
export const endOfPortion = (
  scan: Part,
  { candidates, scanned }: PortionSize,
  { cost, mostCost, direction }: Costs = {
    cost: COST_OF_DIGEST,
    mostCost: Math.min(MOST_COST, candidates * COST_OF_CANDIDATE),
    direction: 'asc',
  },
): RawBuilder<{ key: Key; is_last: boolean }> => {
  const order = sql.raw(['place', 'repository_id', 'name'].map((column) => `${column} ${direction}`).join())
  return sql`
  with scan as materialized (${scan}), costs as (
    select place, repository_id, name, key,
      case when not is_candidate then 0
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
