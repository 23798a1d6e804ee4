import { sql, type RawBuilder } from 'kysely'
import { isLiveTag } from '../model/is-live-tag.js'
import { imageChangedByTags, isImagePushedAgain } from './changed.js'
import { layerReads } from './layer-reads.js'
import { endOfPortion } from './portions.js'
import type { QueryParameters, Question } from './question.js'
import { manifestOf, oneAfterTheOther, isSelected } from './sql-parts.js'
import { unchangedIndexes } from './unchanged-indexes.js'
import { latestUses, usesOfParts, withParts } from './uses.js'

type Part = RawBuilder<unknown>

/** The tags `t`, with manifest `m`, that an answer selects. */
export type WantedTags = {
  /** The condition of each scan, in the order of rows. */
  scans: readonly Part[]
  /** The first column of the order, before the repository and the name. */
  order: Part
  /** The key after which the next page begins. */
  key: Part
  /** A condition that reads only the tag and the manifest. */
  looksWanted: Part
}

/** For a tag with `t.live`: its manifest was not deleted, either. */
const IS_LIVE = isLiveTag(sql`m.deleted_at`)

/** Live tags `t` of the repositories in the query, with manifest `m`, which may be deleted. */
const tagsWhere = (query: QueryParameters, condition: Part): Part => sql`
    from inventory.tags t left join lateral ${manifestOf} m on true
    where t.live and ${isSelected(sql`t.repository_id`, query)} and ${condition}`

/** The next tags in their order, including those that do not meet the cheap condition `looksWanted`. */
export const endOfTags = (
  query: QueryParameters,
  { scans, order, key, looksWanted }: WantedTags,
  size: Parameters<NonNullable<Question['portion']>>[2],
): ReturnType<NonNullable<Question['portion']>> => {
  const scan = scans.map(
    (condition) => sql`
    select ${order} as sort_key, t.repository_id, t.name, t.digest, ${key} as key, coalesce(${IS_LIVE} and ${looksWanted}, false) as is_candidate
    ${tagsWhere(query, condition)}
    order by ${order}, t.repository_id, t.name
    limit ${size.scanned}`,
  )
  return endOfPortion(oneAfterTheOther(scan, size.scanned), size)
}

/**
 * The start of a query of `chosen`, the tags of a portion that meet `looksWanted`, and of `digests`, to which they point: an index may
 * have any number of tags, so values that depend only on the digest are computed once. `chosen` has the columns of
 * inventory.tags, `sort_key` and `key`. `digests` has `repository_id`, `digest`, `times` (usesOfParts), `changed_at`
 * (imageChangedByTags), `by_digest` (latestUses) and `may_be_used`. With `unused_for` there are also `layer_reads` and
 * `unchanged_indexes`, see layerReads and unchangedIndexes.
 * @param mayBeUsed a condition on `t`, a digest in a repository with its `times`
 */
export const chosenTags = (
  query: QueryParameters,
  { scans, order, key, looksWanted }: WantedTags,
  mayBeUsed: Part = sql`false`,
): Part => {
  const chosen = scans.map(
    (condition) => sql`
    select t.*, ${order} as sort_key, ${key} as key, ${isImagePushedAgain} as is_image_pushed_again
    ${tagsWhere(query, condition)} and ${IS_LIVE} and ${looksWanted}`,
  )
  const byDigest =
    query.without_kind === undefined
      ? sql`null::timestamptz[]`
      : latestUses(sql`t.repository_id`, withParts(sql`t.digest`), query)
  const reads =
    query.unused_for === undefined
      ? sql``
      : sql`${sql.join(
          [layerReads, unchangedIndexes].map((partsOf) =>
            partsOf(sql`select distinct repository_id, digest from chosen`, sql`${query.unused_for}::timestamptz`),
          ),
        )},`
  return sql`
  chosen as materialized (${sql.join(chosen, sql` union all `)}), ${reads} digests as materialized (
    select t.*, ${mayBeUsed} as may_be_used
    from (
      select t.repository_id, t.digest, ${usesOfParts(sql`t.repository_id`, sql`t.digest`)} as times,
        case when t.is_image_pushed_again then ${imageChangedByTags} end as changed_at, ${byDigest} as by_digest
      from (
        select repository_id, digest, bool_or(is_image_pushed_again) as is_image_pushed_again from chosen group by repository_id, digest
      ) t left join lateral ${manifestOf} m on true
      offset 0
    ) t
  )`
}
