import { sql } from 'kysely'
import type { Sql } from '../storage/sql/database.js'

const DAY_MS = 86_400_000
/** A new process waits for so long before it deletes old data: the clock of a machine is often set soon after its start. */
const AFTER_START_MS = 600_000
/**
 * The wait if the clock is more than a day later than the end of the last process: either no process ran for a day, or the clock
 * is ahead.
 */
const AFTER_JUMP_MS = DAY_MS

/**
 * Milliseconds from now on in which no old data is deleted. `lastSeenAt` is set if the wait is long: no service has run since
 * then.
 */
export type Trust = { waitMs: number; lastSeenAt?: Date }

/** When a service with a trusted clock last ran. */
export const readSeenAt = async (db: Sql): Promise<Date | null | undefined> => {
  const { rows } = await sql<{ seen_at: Date | null }>`select seen_at from installation`.execute(db)
  return rows[0]?.seen_at
}

/** Compares the clock with the time at which a service last ran. Without such a time, the wait is short. */
export const trustInClock = async (db: Sql, now: Date): Promise<Trust> => {
  const lastSeenAt = await readSeenAt(db)
  return lastSeenAt && now.getTime() - lastSeenAt.getTime() > DAY_MS
    ? { waitMs: AFTER_JUMP_MS, lastSeenAt }
    : { waitMs: AFTER_START_MS }
}

/**
 * Records that a service runs. Must only be called while the clock is trusted: the next process compares its clock with this
 * time.
 */
export const noteSeen = async (db: Sql, now: Date): Promise<void> => {
  await sql`update installation set seen_at = ${now.toISOString()}::timestamptz`.execute(db)
}
