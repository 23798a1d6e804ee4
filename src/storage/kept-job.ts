import { hasCause, isStorageAway } from './unavailable.js'
import { isCancelled, isConflict, type Database, type Sql } from './sql/database.js'
import { holdLease, LeaseTaken } from './sql/leases.js'
import type { KeptSchedule } from '../runtime/jobs.js'
import { completeDue, dueTime, readDueTime } from './sql/schedules.js'

/** The time for which a job is done. */
export type Occurrence = {
  /** When it was due: now, or earlier if it is made up for. */
  due: Date
  /**
   * Notes that the job was done for this time. In the transaction that stores what it made, so that neither is without the other.
   * @returns whether no other process did before
   */
  complete: (tx: Sql) => Promise<boolean>
}

type KeptJobDeps = {
  database: Database
  /** This process, for leases. */
  holder: string
  now: () => Date
  /** Whether this process can do the job now. A process that cannot leaves the lease to those that can. */
  isReady?: () => Promise<boolean>
}

/** After this time another process does the job of one that died. */
const LEASE_SECONDS = 2 * 60

/**
 * Does a job that is due. To be called every minute: a time that was missed because no process ran, because a store did not
 * answer, or because another process does the same work, is made up for as soon as it can be. Other failures are the job's own,
 * and wait for its next time.
 * @param work answers `later` if it could not be done now, for any reason that passes; any process may then do it
 * @returns whether this process did it
 */
export const runIfDue = async (
  { database, holder, now, isReady }: KeptJobDeps,
  schedule: KeptSchedule,
  work: (occurrence: Occurrence) => Promise<'done' | 'later'>,
): Promise<boolean> => {
  const due = await dueTime(database.sql, schedule, now())
  if (!due || due > now()) return false
  if (isReady && !(await isReady())) return false
  const lease = await holdLease(database, schedule.job, { holder, seconds: LEASE_SECONDS })
  if (!lease) return false
  let isCompleted: boolean | undefined
  const complete = async (tx: Sql): Promise<boolean> => (isCompleted = await completeDue(tx, schedule, due))
  try {
    // Who had the lease a moment ago may have done the job.
    const stillDue = await readDueTime(database.sql, schedule.job)
    if (stillDue?.getTime() !== due.getTime()) return false
    if ((await work({ due, complete })) === 'later') return false
    return isCompleted ?? (await complete(database.sql))
  } catch (error) {
    // If this cannot be noted, the job stays due.
    if (!isPassing(error)) await complete(database.sql).catch(() => undefined)
    throw error
  } finally {
    await lease.release()
  }
}

/** Failures that are not the job's own: the same work may succeed in a minute. */
const isPassing = (error: unknown): boolean =>
  isStorageAway(error) || hasCause(error, (one) => isCancelled(one) || isConflict(one) || one instanceof LeaseTaken)
