import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'

/** When the summary was computed, as ISO 8601 in UTC; null before the first summary. */
export const asOf = async (db: Sql): Promise<string | null> => {
  const { rows } = await sql<{ as_of: Date }>`select as_of from inventory.totals`.execute(db)
  return rows[0]?.as_of.toISOString() ?? null
}

/**
 * How many contents of manifests and sizes of blobs are missing in the totals of the summary; undefined before the first
 * summary.
 */
export const unknownInTotals = async (db: Sql): Promise<{ contents: number; sizes: number } | undefined> => {
  const { rows } = await sql<{ contents: string; sizes: string }>`
    select unknown_contents as contents, unknown_sizes as sizes from inventory.totals
  `.execute(db)
  const [row] = rows
  return row && { contents: Number(row.contents), sizes: Number(row.sizes) }
}
