import { sql } from 'kysely'
import { isoTime, MICROS_PER_DAY, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import type { PendingRequest } from '../requests/pending.js'

/** After so long without a request for a blob, a registry is taken for one that does not tell of them. */
const MAX_GAP = 30 * MICROS_PER_DAY

/** Whether a registry tells of requests for blobs: some are configured not to. */
export type BlobReports = {
  /** Whether it told of them at a moment: when it told of one on the same UTC day, or not long before. */
  isReportedAt: (moment: Micros) => boolean
  /** Hears of the next requests; puts right what was kept of a day before it told first on it. */
  learn: (
    tx: Sql,
    requests: readonly PendingRequest[],
    table?: 'pulls.outcomes' | 'provisional.outcomes',
  ) => Promise<void>
  /** When it told last. */
  lastAt: () => Micros | undefined
}

/** @param before when it told last before what it is going to hear of. */
export const createBlobReports = (registry: string, before: Micros | undefined): BlobReports => {
  const days = new Set<Micros>(before === undefined ? [] : [dayOf(before)])
  let lastAt = before ?? -Infinity
  const isReportedAt = (moment: Micros): boolean => {
    const today = dayOf(moment)
    if (days.has(today)) return true
    for (const day of days) if (day < today && today - day <= MAX_GAP) return true
    return false
  }
  return {
    isReportedAt,
    learn: async (tx, requests, table = 'pulls.outcomes') => {
      let first = Infinity
      for (const { object, at: moment } of requests) {
        if (object !== 'blob') continue
        lastAt = Math.max(lastAt, moment)
        if (!isReportedAt(moment)) first = Math.min(first, dayOf(moment))
        days.add(dayOf(moment))
      }
      if (!Number.isFinite(first)) return
      await sql`
        update ${sql.table(table)} set shows_blobs = true
        where registry = ${registry} and at >= ${isoTime(first)}::timestamptz and not shows_blobs
      `.execute(tx)
    },
    lastAt: () => (Number.isFinite(lastAt) ? lastAt : undefined),
  }
}

const dayOf = (at: Micros): Micros => Math.floor(at / MICROS_PER_DAY) * MICROS_PER_DAY
