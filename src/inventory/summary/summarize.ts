import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { MOST_AHEAD_SECONDS } from '../../runtime/clock-ahead.js'
import { isOver, NO_WAIT, waitOf } from '../../runtime/wait.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { holdLease, releaseLease, type Lease } from '../../storage/sql/leases.js'
import { refreshFindings } from './findings.js'
import { sumBlobs, writeRepositoryTotals, writeTotals } from './sums.js'

/**
 * A summary that took a second is recomputed after a minute at the earliest, so that summaries use at most a twentieth of one
 * processor.
 */
const REST = 20
const SHORTEST_REST_SECONDS = 60
const restSeconds = (took: number): number => Math.max(SHORTEST_REST_SECONDS, took * REST)

/**
 * Computes the summary: sizes by repository, totals, orphaned and missing blobs, images by tags, and what is unknown. Events
 * that are stored meanwhile may be in one part and not in another; the next summary has them.
 * @returns the errors of statements that took too long and were cancelled: the contents of some repositories are unknown in
 * this summary
 */
export const summarize = async (database: Pick<Database, 'engine' | 'jobs'>, now: () => Date): Promise<unknown[]> => {
  const db = database.jobs
  const started = now()
  const start = performance.now()
  const sums = await sumBlobs(db)
  await writeRepositoryTotals(db, sums)
  const cancelled = await refreshFindings(database, started)
  await writeTotals(db, sums, started, (performance.now() - start) / 1000)
  return cancelled
}

/** Whether a new summary is due: the pause after the last summary is over, or the last summary is from a clock that was ahead. */
const isSummaryDue = async (db: Sql, now: Date): Promise<boolean> => {
  const { rows } = await sql<{ as_of: Date; seconds: number }>`select as_of, seconds from inventory.totals`.execute(db)
  const [last] = rows
  if (!last) return true
  const age = now.getTime() - last.as_of.getTime()
  return age >= restSeconds(last.seconds) * 1000 || age < -MOST_AHEAD_SECONDS * 1000
}

/** If a process dies, another one computes its summary after this time. */
const LEASE_SECONDS = 2 * 60

/**
 * A process that dies while it computes the summary may have died because of it. Its lease `summarize-attempt` remains, and no
 * process starts a summary on its own until the lease expires.
 */
const REST_AFTER_DEATH_SECONDS = 20 * 60
const ATTEMPT = 'summarize-attempt'
const JOB = 'summarize'

export type Summarize = {
  /** Computes the summary now, even if another process does. */
  now: () => Promise<void>
  /** Computes the summary if it is due and no other process computes it. */
  whenDue: () => Promise<void>
  /** Releases the leases of this process, so that other processes need not wait for them after a stop. */
  stop: () => Promise<void>
}

export const createSummarize = (database: Database, now: () => Date): Summarize => {
  const holder = randomUUID()
  const attempt = async (): Promise<Lease | undefined> =>
    holdLease(database, ATTEMPT, { holder, seconds: REST_AFTER_DEATH_SECONDS })
  const make = async (attempted: Lease | undefined): Promise<unknown[]> => {
    try {
      return await summarize(database, now)
    } finally {
      await attempted?.release()
    }
  }
  let rest = NO_WAIT
  /**
   * The same pause follows a failed and a successful summary: a failed one may have taken an hour, and may fail each time. If
   * statements were cancelled, the summary is stored, but the job fails, so that the error is logged and the pause is observed.
   */
  const makeOrRest = async (attempted: Lease): Promise<void> => {
    const start = performance.now()
    try {
      const cancelled = await make(attempted)
      if (cancelled.length > 0)
        throw new AggregateError(cancelled, 'the contents of some repositories are unknown in the summary')
    } catch (error) {
      rest = waitOf(restSeconds((performance.now() - start) / 1000) * 1000, now())
      throw error
    }
  }
  return {
    stop: async () => {
      await Promise.all([ATTEMPT, JOB].map(async (name) => releaseLease(database, name, holder)))
    },
    now: async () => {
      await make(await attempt())
    },
    whenDue: async () => {
      if (!isOver(rest, now()) || !(await isSummaryDue(database.sql, now()))) return
      const lease = await holdLease(database, JOB, { holder, seconds: LEASE_SECONDS })
      if (!lease) return
      try {
        // The previous owner of the lease may have computed it.
        if (!(await isSummaryDue(database.sql, now()))) return
        const attempted = await attempt()
        if (attempted) await makeOrRest(attempted)
      } finally {
        await lease.release()
      }
    },
  }
}
