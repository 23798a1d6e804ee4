import { deleteExpiredIds } from '../counters/tallies.js'
import { deleteExpiredNames } from '../counters/unresolved-users.js'
import { MICROS_PER_DAY, microsOf, utcDay } from '../events/calendar.js'
import { deleteExpiredRejections } from '../ingest/rejected-events.js'
import { deleteExpiredTimes } from '../inventory/record/stored-times.js'
import { eachAlone } from '../storage/each-alone.js'
import { deleteExpiredSketches } from '../storage/sketches/sql-sketches.js'
import { inSteps } from '../storage/sql/batched.js'
import type { Database } from '../storage/sql/database.js'
import { deleteExpiredLeases } from '../storage/sql/leases.js'
import { isStorageUnavailable } from '../storage/unavailable.js'

export type Retention = {
  /** Days for which a repeated delivery is recognised. */
  eventIdDays: number
  rejectedEventDays: number
  /** The number of newest rejected events that are kept. */
  rejectedEvents: number
  unresolvedUserDays: number
}

/**
 * Deletes rows whose retention time is over, in small steps that block no writer. Rows with a time that the database wrote are
 * compared with the database's clock, and so are the clocks of senders. All other rows are compared with `now`.
 * @returns the number of rows that were deleted or changed
 * @throws AggregateError at the end, with the errors of all failed statements; at once if the database is unavailable
 */
export const deleteExpiredRows = async ({ sql: db }: Database, retention: Retention, now: Date): Promise<number> => {
  const { eventIdDays, rejectedEventDays, rejectedEvents, unresolvedUserDays } = retention
  const statements = [
    deleteExpiredIds(eventIdDays),
    ...deleteExpiredTimes(eventIdDays),
    ...deleteExpiredRejections(rejectedEventDays, rejectedEvents),
    ...deleteExpiredNames(utcDay(microsOf(now) - unresolvedUserDays * MICROS_PER_DAY)),
    deleteExpiredSketches(),
    deleteExpiredLeases(),
  ]
  let removed = 0
  await eachAlone(
    statements,
    async (statement) => {
      removed += await inSteps(db, statement)
    },
    isStorageUnavailable,
  )
  return removed
}
