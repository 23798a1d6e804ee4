import { sql } from 'kysely'
import type { Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { epochMicros } from '../../storage/sql/moments.js'

/**
 * The newest time for state of any event. If the clocks of services are right, it is at most half a second ahead
 * (docs/decisions/0016). Reads all repositories. @returns -Infinity before the first event
 */
export const newestTime = async (db: Sql): Promise<Micros> => {
  const { rows } = await sql<{ at: string | null }>`
    select ${epochMicros(sql`max(last_seen_at)`)}::text as at from inventory.repositories
  `.execute(db)
  return Number(rows[0]?.at ?? -Infinity)
}
