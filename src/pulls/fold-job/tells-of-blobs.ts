import { sql } from 'kysely'
import { isoTime, MICROS_PER_DAY, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import type { PendingRequest } from '../requests/pending.js'

/** After so long without a request for a blob, a registry is taken for one that does not tell of them. */
const LATELY = 30 * MICROS_PER_DAY

/** Whether a registry tells of requests for blobs: some are configured not to. */
export type TellsOfBlobs = {
  /** Whether it told of them at a moment: when it told of one on the same UTC day, or not long before. */
  at: (moment: Micros) => boolean
  /** Hears of the next requests; puts right what was kept of a day before it told first on it. */
  learn: (
    tx: Sql,
    requests: readonly PendingRequest[],
    table?: 'pulls.outcomes' | 'provisional.outcomes',
  ) => Promise<void>
  /** When it told last. */
  last: () => Micros | undefined
}

/** @param before when it told last before what it is going to hear of. */
export const createTellsOfBlobs = (registry: string, before: Micros | undefined): TellsOfBlobs => {
  const days = new Set<Micros>(before === undefined ? [] : [dayOf(before)])
  let last = before ?? -Infinity
  const at = (moment: Micros): boolean => {
    const today = dayOf(moment)
    if (days.has(today)) return true
    for (const day of days) if (day < today && today - day <= LATELY) return true
    return false
  }
  return {
    at,
    learn: async (tx, requests, table = 'pulls.outcomes') => {
      let first = Infinity
      for (const { object, at: moment } of requests) {
        if (object !== 'blob') continue
        last = Math.max(last, moment)
        if (!at(moment)) first = Math.min(first, dayOf(moment))
        days.add(dayOf(moment))
      }
      if (!Number.isFinite(first)) return
      await sql`
        update ${sql.table(table)} set shows_blobs = true
        where registry = ${registry} and at >= ${isoTime(first)}::timestamptz and not shows_blobs
      `.execute(tx)
    },
    last: () => (Number.isFinite(last) ? last : undefined),
  }
}

const dayOf = (at: Micros): Micros => Math.floor(at / MICROS_PER_DAY) * MICROS_PER_DAY
