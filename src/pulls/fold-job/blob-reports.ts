import { sql } from 'kysely'
import { isoTime, MICROS_PER_DAY, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import type { PendingRequest } from '../requests/pending.js'

/** After so long without a report of a blob request, a registry is treated as one that does not report any. */
const MAX_GAP = 30 * MICROS_PER_DAY

/** Whether a registry reports requests for blobs: some registries are configured not to. */
export type BlobReports = {
  /** Whether the registry reported blobs at a moment: it reported one on the same UTC day, or in the 30 days before. */
  isReportedAt: (moment: Micros) => boolean
  /** Reads the next requests. Corrects the outcomes that were stored for a day before the first report of a blob on it. */
  learn: (
    tx: Sql,
    requests: readonly PendingRequest[],
    table?: 'pulls.outcomes' | 'provisional.outcomes',
  ) => Promise<void>
  /** The time of the newest reported blob request. */
  lastAt: () => Micros | undefined
}

/** @param before the time of the newest blob request that was reported earlier */
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
