/** A table with one row per repository and key, and how two rows of one key are merged. */
export type KeyedTable = {
  table: string
  key: string
  /** Columns of which the greatest time stays; deleted_at has its own rule, see MERGED_DELETE. */
  newest: readonly string[]
  /** Each other column, and the expression that merges a stored row `o` with the inserted one, `excluded`. */
  others: Readonly<Record<string, string>>
  /** For a row `p` without a time: whether another row of its repository implies it, so that it stays there. */
  keptBy?: string
}

const FIRST_SEEN = { first_seen_at: 'least(o.first_seen_at, excluded.first_seen_at)' }

export const MANIFEST: KeyedTable = {
  table: 'repository_manifests',
  key: 'digest',
  newest: ['pushed_at', 'pulled_at', 'checked_at', 'confirmed_at', 'deleted_at'],
  others: FIRST_SEEN,
}

export const BLOB: KeyedTable = {
  table: 'repository_blobs',
  key: 'digest',
  newest: ['pushed_at', 'pulled_at', 'checked_at', 'mounted_at', 'manifest_at', 'confirmed_at', 'deleted_at'],
  others: { ...FIRST_SEEN, size: 'greatest(o.size, excluded.size)', implied: 'o.implied or excluded.implied' },
  keptBy: `exists (
      select from inventory.manifest_blobs b
        join inventory.repository_manifests m on m.digest = b.manifest_digest and m.seen_at is not null
      where b.digest = p.digest and m.repository_id = p.repository_id
    )`,
}

export const TAG: KeyedTable = {
  table: 'tags',
  key: 'name',
  newest: ['pointed_at', 'pushed_at', 'pulled_at', 'checked_at', 'asked_at', 'undecided_at', 'deleted_at'],
  others: {
    ...FIRST_SEEN,
    digest: `case when o.pointed_at is null or (excluded.pointed_at, excluded.digest) > (o.pointed_at, o.digest)
      then excluded.digest else o.digest end`,
  },
}

/**
 * A delete closes a row only if the row was at the path at the time of the delete. A delete that predates the rename which
 * brought the row concerns an earlier object, whichever of the two is stored first:
 *
 *   08:00  tag 1 of team/old is pushed
 *   09:00  tag 1 of team/new is deleted           concerns an earlier tag
 *   10:00  team/old is renamed to team/new        brings the tag: moved_at is 10:00, and the tag is live
 *   11:00  tag 1 of team/new is deleted           closes the row: deleted_at is 11:00
 *   12:00  tag 1 of team/new is pushed            the tag is live again
 */
const STORED_DELETE_PREDATES_MOVE = `when excluded.live and o.deleted_at <= excluded.moved_at and coalesce(o.moved_at, '-infinity') < excluded.moved_at
              then excluded.deleted_at`
const INCOMING_DELETE_PREDATES_MOVE = 'when o.live and o.moved_at >= excluded.deleted_at then o.deleted_at'
const GREATEST_DELETE = 'else greatest(o.deleted_at, excluded.deleted_at)'

/** The delete of an inserted row; and of a row that a move inserts, where the stored delete may predate the move. */
const MERGED_DELETE = `case ${INCOMING_DELETE_PREDATES_MOVE} ${GREATEST_DELETE} end`
const MERGED_DELETE_OF_MOVED = `case ${STORED_DELETE_PREDATES_MOVE} ${GREATEST_DELETE} end`
/** The delete of a blob that a manifest implies: it moves to a path with the manifest, and is deleted with the path. */
export const DELETED_WITH_MANIFEST = `case ${STORED_DELETE_PREDATES_MOVE} ${INCOMING_DELETE_PREDATES_MOVE} ${GREATEST_DELETE} end`

/**
 * The end of an `insert` into a table `o`: merges inserted rows with stored ones. The result does not depend on their order.
 */
export const mergeOnConflict = (
  { key, newest, others }: KeyedTable,
  { without = [], isMoved = false }: { without?: readonly string[]; isMoved?: boolean } = {},
): string => {
  const columns = Object.entries({
    ...others,
    ...Object.fromEntries(newest.map((column) => [column, `greatest(o.${column}, excluded.${column})`])),
    deleted_at: isMoved ? MERGED_DELETE_OF_MOVED : MERGED_DELETE,
    ...(isMoved && { moved_at: 'greatest(o.moved_at, excluded.moved_at)' }),
  }).filter(([column]) => !without.includes(column))
  const set = columns.map(([column, value]) => `${column} = ${value}`).join(',\n            ')
  return `on conflict (repository_id, ${key}) do update
        set ${set}`
}
