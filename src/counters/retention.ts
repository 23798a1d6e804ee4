import { sql } from 'kysely'
import type { Database } from '../storage/database.js'

export type Retention = {
  /** How long a repeated delivery is recognised. */
  eventIdDays: number
  rejectedEventDays: number
  unresolvedUserDays: number
  /** Newest rejected events kept, so that a broken sender cannot fill the disk. */
  rejectedEvents: number
}

const ROWS_AT_ONCE = 10_000

/** Forgets what is older than its time, in small steps that hold up nobody. @returns rows removed. */
export const forgetOld = async (database: Database, retention: Retention): Promise<number> => {
  const ids = await inSteps(async () =>
    sql`delete from event_ids where ctid = any(array(
        select ctid from event_ids where seen_on < current_date - ${retention.eventIdDays}::int limit ${ROWS_AT_ONCE}
      ))`.execute(database.sql),
  )
  const rejected = await sql`
    delete from rejected_events
    where received_at < now() - ${retention.rejectedEventDays} * interval '1 day'
      or received_at < (select received_at from rejected_events order by received_at desc offset ${retention.rejectedEvents} limit 1)
  `.execute(database.sql)
  // Their sketches are gone by now, or nearly so.
  await sql`delete from unresolved_users where day < current_date - ${retention.unresolvedUserDays}::int`.execute(
    database.sql,
  )
  const sketches = await sql`delete from sketches where expires_at < now()`.execute(database.sql)
  return ids + Number(rejected.numAffectedRows ?? 0) + Number(sketches.numAffectedRows ?? 0)
}

const inSteps = async (step: () => Promise<{ numAffectedRows?: bigint }>): Promise<number> => {
  let removed = 0
  for (;;) {
    const { numAffectedRows = 0n } = await step()
    removed += Number(numAffectedRows)
    if (numAffectedRows < BigInt(ROWS_AT_ONCE)) return removed
  }
}
