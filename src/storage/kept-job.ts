import { hasCause, isStorageUnavailable } from './unavailable.js'
import { isCancelled, isConflict, type Database, type Sql } from './sql/database.js'
import { holdLease, LeaseTaken } from './sql/leases.js'
import type { KeptSchedule } from '../runtime/jobs.js'
import { completeDue, dueTime, readDueTime } from './sql/schedules.js'

/** One scheduled time of a job. */
export type Occurrence = {
  /** The scheduled time: now, or earlier if the job makes up for a missed time. */
  due: Date
  /**
   * Records that the job was done for this time. Called in the transaction that stores the job's result, so that both are committed
   * or neither.
   * @returns false if another process recorded it before
   */
  complete: (tx: Sql) => Promise<boolean>
}

type KeptJobDeps = {
  database: Database
  /** The name of this process in leases. */
  holder: string
  now: () => Date
  /** Whether this process can do the job now. A process that cannot does not take the lease. */
  isReady?: () => Promise<boolean>
}

/** After this time, another process takes over the job of a process that died. */
const LEASE_SECONDS = 2 * 60

/**
 * Runs a job that is due. To be called every minute. A missed time is made up for as soon as possible if no process ran, a store
 * was unavailable, or another process did the same work. After any other failure, the job runs at its next time.
 * @param work returns `later` if the work is not possible now for a temporary reason; then any process may do it
 * @returns whether this process did the job
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
    // The previous holder of the lease may have done the job.
    const stillDue = await readDueTime(database.sql, schedule.job)
    if (stillDue?.getTime() !== due.getTime()) return false
    if ((await work({ due, complete })) === 'later') return false
    return isCompleted ?? (await complete(database.sql))
  } catch (error) {
    // If this cannot be recorded, the job stays due.
    if (!isTemporary(error)) await complete(database.sql).catch(() => undefined)
    throw error
  } finally {
    await lease.release()
  }
}

/** Failures with a cause outside the job: the same work may succeed in a minute. */
const isTemporary = (error: unknown): boolean =>
  isStorageUnavailable(error) ||
  hasCause(error, (one) => isCancelled(one) || isConflict(one) || one instanceof LeaseTaken)
