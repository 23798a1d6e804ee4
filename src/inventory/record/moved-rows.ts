import { sql, type RawBuilder } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import { BLOB, MANIFEST, TAG, type KeyedTable } from './merge-rows.js'

type Dated = Pick<KeyedTable, 'newest' | 'keptBy'>
/** The time of a rename; missing for an alias. */
type Until = { until?: Micros | undefined }

/**
 * Whether a move takes a row `p` of a table. Rows that have only deletes move, too. A blob without a time is known from a
 * manifest alone: it stays as long as a manifest of the repository that has it stays. For manifests that moved, the blob was
 * added at their new path.
 */
export const isMoved = ({ newest, keptBy }: Dated, { until }: Until): RawBuilder<unknown> => {
  if (until === undefined) return sql`true`
  const at = sql`${isoTime(until)}::timestamptz`
  const last = sql.raw(`greatest(${newest.join(', ')})`)
  return sql`coalesce(${last}, '-infinity') <= ${at} and coalesce(moved_at, '-infinity') < ${at}
        and ${keptBy === undefined ? sql`true` : sql`(${last} is not null or not ${sql.raw(keptBy)})`}`
}

/** A table with one row per event, which needs no merge with another row. */
export type EventTable = { table: string; also: string }
const AT: Dated = { newest: ['at'] }
export const CHANGES: EventTable = { table: 'changes', also: '' }
/** The counterpart of a pull may be at the new path, and so may the rows of a check that was settled after these had moved. */
export const LOOKUPS: EventTable = { table: 'tag_lookups', also: ", joined = false, settled = method <> 'HEAD'" }
export const PUSHES: EventTable = { table: 'recent_pushes', also: '' }

/** Whether a move takes a row of an event table. */
export const isEventRowMoved = (move: Until): RawBuilder<unknown> => isMoved(AT, move)

const ALL: (Dated & { table: string })[] = [
  ...[MANIFEST, BLOB, TAG],
  ...[CHANGES, LOOKUPS, PUSHES].map(({ table }) => ({ table, ...AT })),
]

/** Whether a move has rows left to move. */
export const hasRowsToMove = (repositoryId: RawBuilder<unknown>, move: Until): RawBuilder<unknown> => {
  const some = ALL.map(
    ({ table, ...dated }) => sql`exists (
      select from inventory.${sql.raw(table)} p where repository_id = ${repositoryId} and ${isMoved(dated, move)}
    )`,
  )
  return sql`(${sql.join(some, sql` or `)})`
}

/** Whether a rename takes a repository `r`: the repository has rows to move, or an interrupted move left it empty. */
export const isTakenByRename = (until: Micros): RawBuilder<unknown> =>
  sql`(${hasRowsToMove(sql`r.id`, { until })} or r.deleted_at is null and ${IS_EMPTY})`

export const IS_EMPTY = sql.raw(
  ['repository_manifests', 'repository_blobs', 'tags', 'changes']
    .map((table) => `not exists (select from inventory.${table} where repository_id = r.id)`)
    .join(' and '),
)
