import { sql } from 'kysely'
import { MS_PER_DAY } from '../../events/calendar.js'
import type { Database } from '../../storage/sql/database.js'
import { deleteSome, inSteps } from '../../storage/sql/batched.js'

/**
 * Erases the names of actors of UTC days that ended more than `days` days ago. What changed, and when, stays. The table is
 * rewritten even if no name expired now, to complete a run that was interrupted.
 */
export const eraseActors = async ({ sql: db, eraseTraces }: Database, days: number, now: Date): Promise<void> => {
  const before = new Date(now.getTime() - days * MS_PER_DAY).toISOString().slice(0, 10)
  await inSteps(db, deleteSome('inventory.actors', sql`day < ${before}::date`))
  // Names that were queued for a user directory, and unreadable events, were deleted since the last run, too.
  await eraseTraces(['inventory.actors', 'unresolved_users', 'repositories', 'rejected_events'])
}
