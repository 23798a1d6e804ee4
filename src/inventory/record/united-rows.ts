/** A table with a row for each key of a repository, and how two rows of one key become one. */
export type Keyed = {
  table: string
  key: string
  /** Times of which the greatest stays. */
  newest: readonly string[]
  /** Each other column, and what it becomes of a row `o` and the one it is united with, `excluded`. */
  others: Readonly<Record<string, string>>
}

const FIRST_SEEN = { first_seen_at: 'least(o.first_seen_at, excluded.first_seen_at)' }

export const MANIFEST: Keyed = {
  table: 'repository_manifests',
  key: 'digest',
  newest: ['pushed_at', 'pulled_at', 'checked_at', 'confirmed_at', 'deleted_at'],
  others: FIRST_SEEN,
}

export const BLOB: Keyed = {
  table: 'repository_blobs',
  key: 'digest',
  newest: ['pushed_at', 'pulled_at', 'checked_at', 'mounted_at', 'manifest_at', 'confirmed_at', 'deleted_at'],
  others: { ...FIRST_SEEN, size: 'greatest(o.size, excluded.size)', implied: 'o.implied or excluded.implied' },
}

export const TAG: Keyed = {
  table: 'tags',
  key: 'name',
  newest: ['pointed_at', 'pushed_at', 'pulled_at', 'checked_at', 'deleted_at'],
  others: {
    ...FIRST_SEEN,
    digest: `case when o.pointed_at is null or (excluded.pointed_at, excluded.digest) > (o.pointed_at, o.digest)
      then excluded.digest else o.digest end`,
  },
}

/**
 * Unites rows that are inserted into a table `o` with those that are there, whatever the order of either: the end of an
 * `insert`.
 * @param without columns that the inserted rows do not have.
 */
export const unitedWith = (
  { key, newest, others }: Keyed,
  { without = [], also = [] }: { without?: readonly string[]; also?: readonly string[] } = {},
): string => {
  const columns = [
    ...Object.entries(others),
    ...[...newest, ...also].map((column) => [column, `greatest(o.${column}, excluded.${column})`] as const),
  ].filter(([column]) => !without.includes(column))
  const set = columns.map(([column, value]) => `${column} = ${value}`).join(',\n            ')
  return `on conflict (repository_id, ${key}) do update
        set ${set}`
}
