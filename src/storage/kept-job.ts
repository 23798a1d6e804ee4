import { isStorageAway } from './away.js'
import { isCancelled, isConflict, type Database, type Sql } from './database.js'
import { takeLease } from './leases.js'
import { completeDue, dueTime, type KeptSchedule } from './schedules.js'

/** The time for which a job is done. */
export type Occurrence = {
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
}

/** A process that dies has the job done by another after this time. */
const LEASE_SECONDS = 10 * 60

/**
 * Does a job that is due. To be called every minute: a time that was missed because no process ran, or because a store did not
 * answer, is made up for as soon as it can be. Other failures are the job's own, and wait for its next time.
 * @param work answers `later` if it could not be done now, for any reason that passes
 * @returns whether this process did it
 */
export const runIfDue = async (
  { database, holder, now }: KeptJobDeps,
  schedule: KeptSchedule,
  work: (occurrence: Occurrence) => Promise<'done' | 'later'>,
): Promise<boolean> => {
  const due = await dueTime(database.sql, schedule, now())
  if (!due || due > now()) return false
  if (!(await takeLease(database, schedule.job, holder, LEASE_SECONDS))) return false
  let isCompleted: boolean | undefined
  const complete = async (tx: Sql): Promise<boolean> => (isCompleted = await completeDue(tx, schedule, due))
  try {
    if ((await work({ complete })) === 'later') return false
  } catch (error) {
    if (!isOfStore(error)) await complete(database.sql)
    throw error
  }
  return isCompleted ?? complete(database.sql)
}

const isOfStore = (error: unknown): boolean => isStorageAway(error) || isCancelled(error) || isConflict(error)
