/** A table with a row for each key of a repository, and how two rows of one key become one. */
export type KeyedTable = {
  table: string
  key: string
  /** Times of which the greatest stays; of deletes, as said below. */
  newest: readonly string[]
  /** Each other column, and what it becomes of a row `o` and the one it is united with, `excluded`. */
  others: Readonly<Record<string, string>>
  /** Of a row `p` without a time: whether something else in its repository tells of it, and so keeps it there. */
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
  newest: ['pointed_at', 'pushed_at', 'pulled_at', 'checked_at', 'asked_at', 'deleted_at'],
  others: {
    ...FIRST_SEEN,
    digest: `case when o.pointed_at is null or (excluded.pointed_at, excluded.digest) > (o.pointed_at, o.digest)
      then excluded.digest else o.digest end`,
  },
}

/**
 * What was deleted under a path before a rename brought a row there was another: the delete does not end the row, whichever is
 * heard of first.
 */
const STORED_DELETE_PREDATES_MOVE = `when excluded.live and o.deleted_at <= excluded.moved_at and coalesce(o.moved_at, '-infinity') < excluded.moved_at
              then excluded.deleted_at`
const INCOMING_DELETE_PREDATES_MOVE = 'when o.live and o.moved_at >= excluded.deleted_at then o.deleted_at'
const GREATEST_DELETE = 'else greatest(o.deleted_at, excluded.deleted_at)'

/** The delete of a row, and of one that a move brings, whose own delete may be from before the move. */
const MERGED_DELETE = `case ${INCOMING_DELETE_PREDATES_MOVE} ${GREATEST_DELETE} end`
const MERGED_DELETE_OF_MOVED = `case ${STORED_DELETE_PREDATES_MOVE} ${GREATEST_DELETE} end`
/** The delete of a blob that a manifest implies: it comes to a path with the manifest, and ends with the path. */
export const DELETED_WITH_MANIFEST = `case ${STORED_DELETE_PREDATES_MOVE} ${INCOMING_DELETE_PREDATES_MOVE} ${GREATEST_DELETE} end`

/**
 * Unites rows that are inserted into a table `o` with those that are there, whatever the order of either: the end of an
 * `insert`.
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
