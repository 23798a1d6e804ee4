import { MICROS_PER_DAY, MICROS_PER_SECOND, startOfDay, type Micros } from '../events/calendar.js'
import { inRowOrder, type Row } from './columns.js'

/** A source of rows of one day, for example a database table. */
export type DaySource = {
  /** The number of rows. */
  count: () => Promise<number>
  /** Adds the number of rows of each second. @param add takes a second of the day, from 0 to 86,399 */
  countSeconds: (add: (second: number, rows: number) => void) => Promise<void>
  /** The rows from a moment (included) to a moment (not included), in any order. The ranges of successive calls ascend. */
  rowsBetween: (from: Micros, to: Micros) => Promise<Row[]>
}

/** The rows that are sorted at once: about 50 MB of memory. If a single second has more, all of its rows. */
const MOST_ROWS = 50_000

const SECONDS_PER_DAY = 86_400

/**
 * Reads the rows of a day from several sources, sorted. The first column of each row is its time. If a day has many rows, it is
 * divided by time, so that memory stays bounded however many rows the day has.
 */
export const readSorted = async (
  day: string,
  sources: readonly DaySource[],
  take: (rows: Row[]) => Promise<void>,
  most = MOST_ROWS,
): Promise<void> => {
  const start = startOfDay(day) ?? 0
  let total = 0
  for (const source of sources) total += await source.count()
  if (total === 0) return
  for (const { from, to } of total <= most ? [{ from: 0, to: SECONDS_PER_DAY }] : await slicesOf(sources, most)) {
    const rows: Row[] = []
    for (const source of sources) {
      const more = await source.rowsBetween(
        start + from * MICROS_PER_SECOND,
        Math.min(start + to * MICROS_PER_SECOND, start + MICROS_PER_DAY),
      )
      for (const row of more) rows.push(row)
    }
    await take(rows.sort(inRowOrder))
  }
}

type Seconds = { from: number; to: number }

const slicesOf = async (sources: readonly DaySource[], most: number): Promise<Seconds[]> => {
  const perSecond = new Float64Array(SECONDS_PER_DAY)
  for (const { countSeconds } of sources) {
    await countSeconds((second, rows) => {
      perSecond[second] = (perSecond[second] ?? 0) + rows
    })
  }
  return divide(perSecond, most)
}

/** Divides seconds into ranges with at most so many rows each. A second with more rows has a range of its own. */
export const divide = (perSecond: ArrayLike<number>, most: number): Seconds[] => {
  const ranges: Seconds[] = []
  let [from, rows] = [0, 0]
  for (let second = 0; second < perSecond.length; second++) {
    const more = perSecond[second] ?? 0
    if (rows > 0 && rows + more > most) {
      ranges.push({ from, to: second })
      ;[from, rows] = [second, 0]
    }
    rows += more
  }
  if (rows > 0) ranges.push({ from, to: perSecond.length })
  return ranges
}
