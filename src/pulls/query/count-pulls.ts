import type { Kysely } from 'kysely'
import { queryPulls } from './query-pulls.js'
import type { PullsQuery } from './parameters.js'
import { MEASURE_NAMES } from '../model/measures.js'
import { addDays } from '../model/period.js'

type Wanted = {
  /** A name of MEASURE_NAMES. */
  measure: string
  /** Whether to count each kind of client separately. */
  byKind: boolean
  /** The first and the last UTC day. */
  days: { from?: string; to?: string }
}

/** One measure over whole UTC days: one number, or one for each kind of client. Counts settled outcomes only. */
export const countPulls = async (
  db: Kysely<unknown>,
  { measure, byKind, days }: Wanted,
): Promise<number | Record<string, number>> => {
  const name = MEASURE_NAMES.find((one) => one === measure)
  const { from, to } = days
  if (name === undefined || from === undefined || to === undefined) throw new Error(`there is no measure ${measure}`)
  const query: PullsQuery = {
    measures: [name],
    groupBy: byKind ? ['kind'] : [],
    filters: [],
    period: { from, to: addDays(to, 1) },
    timeZone: 'UTC',
    compare: false,
    limit: MAX_KINDS,
  }
  const { rows, total } = await queryPulls(db, query, { rotation: 'never', stamps: {}, isSettledOnly: true })
  if (!byKind) return total[name] ?? 0
  return Object.fromEntries(rows.map((row) => [row.kind ?? 'unknown', row[name] ?? 0]))
}

const MAX_KINDS = 100
