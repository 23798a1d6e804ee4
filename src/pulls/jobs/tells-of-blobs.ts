import { sql } from 'kysely'
import { isoTime, MICROS_PER_DAY, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/database.js'
import type { PendingRequest } from '../record/pending.js'

/** After so long without a request for a blob, a registry is taken for one that does not tell of them. */
const LATELY = 30 * MICROS_PER_DAY

type Told = { requests: readonly PendingRequest[]; before: Micros | undefined }

/**
 * Whether a registry tells of requests for blobs at a moment: when it told of one on the same UTC day, or not long before. Some
 * are configured not to. Keeps when it told last, and puts right what was kept that day before it told first.
 * @param before when it told last before these requests.
 */
export const tellsOfBlobs = async (
  tx: Sql,
  registry: string,
  { requests, before }: Told,
): Promise<{ at: (moment: Micros) => boolean; last: Micros | undefined }> => {
  const days = new Set<Micros>(before === undefined ? [] : [dayOf(before)])
  let last = before ?? -Infinity
  for (const { object, at } of requests) {
    if (object !== 'blob') continue
    days.add(dayOf(at))
    last = Math.max(last, at)
  }
  if (last > (before ?? -Infinity)) {
    await sql`update pulls.registries set blobs_at = ${isoTime(last)}::timestamptz where registry = ${registry}`.execute(
      tx,
    )
  }
  const first = Math.min(...[...days].filter((day) => before === undefined || day - dayOf(before) > LATELY))
  if (Number.isFinite(first)) {
    await sql`
      update pulls.outcomes set shows_blobs = true
      where registry = ${registry} and at >= ${isoTime(first)}::timestamptz and not shows_blobs
    `.execute(tx)
  }
  const sorted = [...days].sort((a, b) => b - a)
  return {
    at: (moment) => sorted.some((day) => day <= moment && dayOf(moment) - day <= LATELY),
    last: Number.isFinite(last) ? last : undefined,
  }
}

const dayOf = (at: Micros): Micros => Math.floor(at / MICROS_PER_DAY) * MICROS_PER_DAY
