import { sql, type RawBuilder } from 'kysely'
import { entriesListing, entriesOf } from '../model/index-entries.js'
import type { Key, PortionSize } from './question.js'

type Part = RawBuilder<unknown>

/** What a digest costs of which all is read that may be: see MOST_FOLLOWED and MOST_SIZES. One without anything costs 1. */
const MOST_OF_DIGEST = 40
/** Blobs of an image, whose sizes are added up, for which it costs one more; and manifests that a digest lists, or that list it. */
const BLOBS_FOR_ONE = 20
const LISTED_FOR_ONE = 5
/** Manifests that a digest lists, or that list it, beyond which it costs the most. */
const MOST_LISTED = 20

/**
 * What a candidate costs that is the first of its digest `s.digest`. Indexes of images, as they are in real registries, cost little. What leads
 * further than one level costs the most, without a look at how far.
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
  const size = { candidates: most, scanned: most, cost: MOST_MANIFESTS }
  return endOfPortion(scan(most), size, { cost: manifests, direction })
}

type Costs = { cost: Part; direction: 'asc' | 'desc' }

/**
 * How far one statement may go. What it computes for a digest is computed once, so that further rows of the digest cost little.
 * @param scan a query of the next rows in their order, at most `scanned`: `sort_key`, `repository_id`, `name`, which are the order, `digest`,
 * `key`, and `is_candidate`, whether the row passes the conditions that read no more than the row and its manifest
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
      -- Of more, none is in the portion.
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
