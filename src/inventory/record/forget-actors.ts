import { sql } from 'kysely'
import type { Database } from '../../storage/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/in-steps.js'

/** Takes the names of people off changes that are older than some days. What changed, and when, stays. */
export const forgetActors = async ({ sql: db }: Database, days: number): Promise<void> => {
  for (const table of ['changes', 'renames']) {
    await inSteps(
      db,
      sql`
        update inventory.${sql.raw(table)} set actor = null where ctid = any(array(
          select ctid from inventory.${sql.raw(table)}
          where at < now() - ${days} * interval '1 day' and actor is not null limit ${ROWS_AT_ONCE}
        ))
      `,
    )
  }
}
