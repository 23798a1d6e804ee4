import { MICROS_PER_DAY, startOfDay, utcDay, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { NONE } from '../fold/columns.js'
import type { Segment } from '../segments/segment.js'
import { daysWithSegments, eachSegmentOf, type NumberedSegment } from '../segments/segment-table.js'
import { isWanted, type RequestFilters, type RequestsQuery } from './requests-parameters.js'

/** Imported requests that one answer reads at most, unless a single day has more: they take one to two seconds. */
const MOST_READ = 5_000_000

/** A segment with rows that a query wants. */
export type WantedRows = NumberedSegment & {
  segment: Segment
  /** Whether a row has the wanted values. Its time is not checked. */
  isWantedRow: (row: number) => boolean
}

/**
 * Reads the segments of a query by day, the newest day first, until the caller has enough or too many requests were read.
 * @param onSegment gets the segments that may have wanted rows, one at a time
 * @param isEnough is asked after each day
 * @returns the moment from which on all wanted requests were read; `isCut` if too many were read
 */
export const readSegments = async (
  db: Sql,
  { filters, from, to }: Pick<RequestsQuery, 'filters' | 'from' | 'to'>,
  { onSegment, isEnough, most = MOST_READ }: ReadSegments,
): Promise<{ readFrom: Micros; isCut: boolean }> => {
  const { registries } = filters
  let read = 0
  let readFrom = to
  for (const { day, requests } of await daysWithSegments(db, {
    registries,
    first: utcDay(from),
    last: utcDay(to - 1),
  })) {
    const start = startOfDay(day) ?? from
    if (isEnough(Math.min(readFrom, start + MICROS_PER_DAY))) return { readFrom: start + MICROS_PER_DAY, isCut: false }
    if (read > 0 && read + requests > most) return { readFrom: start + MICROS_PER_DAY, isCut: true }
    read += requests
    for await (const stored of eachSegmentOf(db, day, registries)) {
      const isWantedRow = wantedIn(stored, filters)
      if (!isWantedRow) continue
      const segment = stored.read()
      onSegment({ ...stored, segment, isWantedRow: (row) => isWantedRow(segment, row) })
    }
    readFrom = start
  }
  return { readFrom: from, isCut: false }
}

type ReadSegments = {
  onSegment: (rows: WantedRows) => void
  /** @param readFrom all wanted requests from this moment on were read */
  isEnough: (readFrom: Micros) => boolean
  most?: number | undefined
}

/** @returns undefined if no row of the segment has the wanted values */
const wantedIn = (
  { names, requesters, whats }: NumberedSegment,
  { repository, tag, digest, origin }: RequestFilters,
): ((segment: Segment, row: number) => boolean) | undefined => {
  const textOf = (name: number): string | undefined => (name === NONE ? undefined : names[name])
  const areWhats = whats.map(
    (what) =>
      isWanted(textOf(what.repository), repository) &&
      isWanted(textOf(what.tag), tag) &&
      isWanted(textOf(what.digest), digest),
  )
  const areRequesters = requesters.map((one) => origin === undefined || one.origin === origin)
  if (!areWhats.includes(true) || !areRequesters.includes(true)) return undefined
  return (segment, row) =>
    areWhats[segment.what[row] ?? 0] === true && areRequesters[segment.requester[row] ?? 0] === true
}
