import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../storage/sql/database.js'
import type { Days } from './export-table.js'

/**
 * Restricts days to those between the first and the last time of some tables.
 * @param bounds a query with the columns `first` and `last`, which are times without a zone (UTC), or null for an empty table
 * @returns undefined if no day is left
 */
export const daysBetween = async (
  db: Sql,
  { from, to }: Days,
  bounds: RawBuilder<unknown>,
): Promise<Days | undefined> => {
  const { rows } = await sql<{ first: string | null; last: string | null }>`
    select greatest(min(first)::date, ${from}::date)::text as first, least(max(last)::date, ${to}::date)::text as last
    from (${bounds}) b having min(first) is not null
  `.execute(db)
  const { first = null, last = null } = rows[0] ?? {}
  return first === null || last === null || last < first ? undefined : { from: first, to: last }
}
