import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { MOST_AHEAD_SECONDS } from '../../runtime/clock-ahead.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { holdLease, releaseLease, type Lease } from '../../storage/sql/leases.js'
import { refreshFindings } from './findings.js'
import { sumBlobs, writeRepositoryTotals, writeTotals } from './sums.js'

/** A summary that took a second is made again after a minute, so making it takes a twentieth of one processor at most. */
const REST = 20
const SHORTEST_REST_SECONDS = 60
const restSeconds = (took: number): number => Math.max(SHORTEST_REST_SECONDS, took * REST)

/**
 * Makes the summary: sizes by repository, totals, orphaned and missing blobs, images by tags, and what is not known. What is stored meanwhile
 * may be in one part and not in the other; the next summary has it.
 * @returns the errors of statements that took too long and were ended: what some repositories contain is unknown in this summary
 */
export const summarize = async (database: Pick<Database, 'engine' | 'jobs'>, now: () => Date): Promise<unknown[]> => {
  const db = database.jobs
  const started = now()
  const start = performance.now()
  const sums = await sumBlobs(db)
  await writeRepositoryTotals(db, sums)
  const ended = await refreshFindings(database, started)
  await writeTotals(db, sums, started, (performance.now() - start) / 1000)
  return ended
}

/** Whether the last summary is older than it has to be, or of a clock that was ahead. */
const isSummaryDue = async (db: Sql, now: Date): Promise<boolean> => {
  const { rows } = await sql<{ as_of: Date; seconds: number }>`select as_of, seconds from inventory.totals`.execute(db)
  const [last] = rows
  if (!last) return true
  const age = now.getTime() - last.as_of.getTime()
  return age >= restSeconds(last.seconds) * 1000 || age < -MOST_AHEAD_SECONDS * 1000
}

/** After this time another process makes the summary of one that died. */
const LEASE_SECONDS = 2 * 60

/**
 * A process that dies while it makes the summary may have died of it. It leaves the lease `summarize-attempt`, and no process makes the
 * summary by itself until that ends.
 */
const REST_AFTER_DEATH_SECONDS = 20 * 60
const ATTEMPT = 'summarize-attempt'
const JOB = 'summarize'

export type Summarize = {
  /** Makes it now, whoever else does. */
  now: () => Promise<void>
  /** Makes it if it is due and no other process is making it. */
  whenDue: () => Promise<void>
  /** Gives back what this process has taken, so that nobody waits for it after a stop. */
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
  let retryAt = -Infinity
  /**
   * One that fails rests as long as one that succeeded: it may have taken an hour, and may fail each time. If statements were ended, the
   * summary is stored, and the job fails all the same, so that it is logged and rests.
   */
  const makeOrRest = async (attempted: Lease): Promise<void> => {
    const start = performance.now()
    try {
      const ended = await make(attempted)
      if (ended.length > 0)
        throw new AggregateError(ended, 'the contents of some repositories are unknown in the summary')
    } catch (error) {
      retryAt = now().getTime() + restSeconds((performance.now() - start) / 1000) * 1000
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
      if (now().getTime() < retryAt || !(await isSummaryDue(database.sql, now()))) return
      const lease = await holdLease(database, JOB, { holder, seconds: LEASE_SECONDS })
      if (!lease) return
      try {
        // Who had the lease a moment ago may have made it.
        if (!(await isSummaryDue(database.sql, now()))) return
        const attempted = await attempt()
        if (attempted) await makeOrRest(attempted)
      } finally {
        await lease.release()
      }
    },
  }
}
