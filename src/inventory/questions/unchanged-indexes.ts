import { sql, type RawBuilder } from 'kysely'
import { entriesListing } from '../model/index-entries.js'
import { digestChangedAt } from './changed.js'
import { DEEPEST, MOST_FOLLOWED } from './sql-parts.js'

type Part = RawBuilder<unknown>

/** Entries of indexes that a statement reads on each level, to find the indexes above all its images. */
const MOST_ENTRIES = 100_000
/** Indexes of a statement whose pushes are read. For other indexes, each push counts as a change. */
const MOST_INDEXES = 1_000

const levelOf = (number: number): Part => sql.ref(`indexes_above_${number}`)
const LEVELS = Array.from({ length: DEEPEST }, (_, i) => i + 1)

/** The indexes that list digests of the level below, each once: one index may list a thousand images. */
const nextLevel = (number: number, below: Part): Part => sql`
  ${levelOf(number)} as materialized (
    select distinct repository_id, digest from (
      select i.repository_id, c.manifest_digest as digest
      from ${below} i cross join lateral ${entriesListing(sql`i.digest`, MOST_FOLLOWED)} c
      limit ${MOST_ENTRIES}
    ) c
  )`

/**
 * Parts of a query, the last of them `unchanged_indexes (repository_id, digest)`. It has indexes above some images that were
 * pushed since a moment, while no push since then changed anything. Computed once for all images of the statement.
 * @param images a query of `repository_id`, `digest`
 */
export const unchangedIndexes = (images: Part, moment: Part): Part => sql`
  ${sql.join(LEVELS.map((number) => nextLevel(number, number === 1 ? sql`(${images})` : levelOf(number - 1))))},
  pushed_again as materialized (
    select i.repository_id, i.digest, i.pushed_at, i.first_seen_at, i.deleted_at
    from (${sql.join(
      LEVELS.map((number) => sql`select * from ${levelOf(number)}`),
      sql` union `,
    )}) above cross join lateral (
      select * from inventory.repository_manifests o
      where o.repository_id = above.repository_id and o.digest = above.digest and o.live offset 0
    ) i
    where i.pushed_at >= ${moment} and i.pushed_at > i.first_seen_at
    limit ${MOST_INDEXES}
  ), unchanged_indexes as materialized (
    select repository_id, digest from (
      select i.repository_id, i.digest, ${digestChangedAt(sql`i`)} as changed_at
      from pushed_again i offset 0
    ) i
    where changed_at < ${moment}
  )`

/** Whether an index is in `unchanged_indexes`, a table that is computed once for the statement. */
export const isUnchangedIndex = (repositoryId: Part, digest: Part): Part =>
  sql`((${repositoryId}, ${digest}) in (select repository_id, digest from unchanged_indexes))`
