import { sql } from 'kysely'
import type { Database } from '../../storage/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/in-steps.js'

const DAY_MS = 86_400_000

/** Takes the names of people off changes that are older than some days. What changed, and when, stays. */
export const forgetActors = async ({ sql: db }: Database, days: number, now: Date): Promise<void> => {
  const before = new Date(now.getTime() - days * DAY_MS).toISOString()
  for (const table of ['changes', 'renames']) {
    await inSteps(
      db,
      sql`
        update inventory.${sql.raw(table)} set actor = null where ctid = any(array(
          select ctid from inventory.${sql.raw(table)}
          where at < ${before}::timestamptz and actor is not null limit ${ROWS_AT_ONCE}
        ))
      `,
    )
  }
}
