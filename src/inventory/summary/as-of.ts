import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'

/** When the summary was made, as ISO 8601 in UTC; null before the first. */
export const asOf = async (db: Sql): Promise<string | null> => {
  const { rows } = await sql<{ as_of: Date }>`select as_of from inventory.totals`.execute(db)
  return rows[0]?.as_of.toISOString() ?? null
}
