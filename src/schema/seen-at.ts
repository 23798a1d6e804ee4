import { sql } from 'kysely'
import type { Sql } from '../storage/sql/database.js'

const DAY_MS = 86_400_000
/** A process that just started waits for so long before it deletes what is old: a clock is set soon after the start of a machine. */
const AFTER_START_MS = 600_000
/** The same, if the clock shows a time more than a day after that of the last process: either none ran, or the clock is ahead. */
const AFTER_JUMP_MS = DAY_MS

/** Milliseconds from now on in which nothing old is deleted, and since when no service ran if that is why it is long. */
export type Trust = { waitMs: number; lastSeenAt?: Date }

/** Compares the clock with the time at which a service last ran. Without such a time there is nothing to compare with. */
export const trustIn = async (db: Sql, now: Date): Promise<Trust> => {
  const { rows } = await sql<{ seen_at: Date | null }>`select seen_at from installation`.execute(db)
  const lastSeenAt = rows[0]?.seen_at
  return lastSeenAt && now.getTime() - lastSeenAt.getTime() > DAY_MS
    ? { waitMs: AFTER_JUMP_MS, lastSeenAt }
    : { waitMs: AFTER_START_MS }
}

/** Notes that a service runs. To be called only while its clock is trusted: the next process compares its clock with this time. */
export const noteSeen = async (db: Sql, now: Date): Promise<void> => {
  await sql`update installation set seen_at = ${now.toISOString()}::timestamptz`.execute(db)
}
