import { sql } from 'kysely'
import type { Database } from '../../storage/database.js'

const AT_ONCE = 10_000

/** Takes the names of people off changes that are older than some days. What changed, and when, stays. */
export const forgetActors = async ({ sql: db }: Database, days: number): Promise<void> => {
  for (const table of ['changes', 'renames']) {
    for (let changed = AT_ONCE; changed === AT_ONCE;) {
      const { numAffectedRows = 0n } = await sql`
        update inventory.${sql.raw(table)} set actor = null where ctid = any(array(
          select ctid from inventory.${sql.raw(table)}
          where at < now() - ${days} * interval '1 day' and actor is not null limit ${AT_ONCE}
        ))
      `.execute(db)
      changed = Number(numAffectedRows)
    }
  }
}
