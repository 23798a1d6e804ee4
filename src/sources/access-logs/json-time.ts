import { MICROS_PER_SECOND, parseTimestamp, type Micros } from '../../events/calendar.js'
import { readLogTime } from './log-time.js'
import { createZoneClock, type ReadClock } from './zone-clock.js'

/** The time of a line, or why there is none. */
export type TimeReading = Micros | 'missing' | 'invalid' | 'zone-missing'
export type ReadTime = (value: unknown) => TimeReading

/** In characters. No known time is longer. */
const LONGEST_TIME = 64
/** RFC 3339 and ISO 8601, also with a space, with slashes, without a colon in the offset, and without an offset. */
const ISO = /^(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))? ?(Z|[+-]\d\d:?\d\d)?$/i
const UNIX = /^\d{1,19}(?:\.\d{1,9})?$/

/**
 * Creates a reader of the times in JSON logs: RFC 3339 and its variants, the common log format, or a Unix time, as a number or a
 * text, in seconds, milliseconds, microseconds or nanoseconds. Times are cut to microseconds.
 * @param timeZone the IANA time zone of times without an offset
 * @throws RangeError if there is no such time zone
 */
export const createReadTime = (timeZone?: string): ReadTime => {
  const clock = timeZone === undefined ? undefined : createZoneClock(timeZone)
  return (value) => {
    if (typeof value === 'number') return checkedTime(unixTime(value))
    if (value === undefined || value === null || value === '' || value === '-') return 'missing'
    if (typeof value !== 'string' || value.length > LONGEST_TIME) return 'invalid'
    if (UNIX.test(value)) return checkedTime(unixTime(Number(value)))
    const at = writtenTime(value, clock)
    if (at !== undefined) return checkedTime(at)
    return writtenTime(value, (shown) => shown) === undefined ? 'invalid' : 'zone-missing'
  }
}

/** Times before 1970 are errors. Times after 2255 are not exact in microseconds. */
export const checkedTime = (at: Micros | undefined): TimeReading =>
  at === undefined || at < 0 || !Number.isSafeInteger(at) ? 'invalid' : at

/** @returns undefined if the text is no time, or if it has no offset and there is no clock */
const writtenTime = (text: string, clock: ReadClock | undefined): Micros | undefined => {
  const [, year, month, day, time, fraction = '0', offset] = ISO.exec(text) ?? []
  if (time === undefined) return readLogTime(text, clock)
  const at = parseTimestamp(`${year}-${month}-${day}T${time}.${fraction}${withColon(offset ?? 'Z')}`)
  return at === undefined || offset !== undefined ? at : clock?.(at)
}

const withColon = (offset: string): string =>
  offset.length === '+0000'.length ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset

/** The smallest Unix time in seconds, in 1973. Smaller numbers are durations. */
const SMALLEST_SECONDS = 1e8
/** The unit of a Unix time by its size: the smallest number above the unit, and microseconds of one unit. */
const UNITS = [
  { below: 1e11, micros: MICROS_PER_SECOND },
  { below: 1e14, micros: 1_000 },
  { below: 1e17, micros: 1 },
  { below: 1e20, micros: 1 / 1_000 },
]

/** A double has about 16 digits, so a whole number of microseconds is the nearest one. */
const unixTime = (time: number): Micros | undefined => {
  const unit = time < SMALLEST_SECONDS ? undefined : UNITS.find(({ below }) => time < below)
  return unit && Math.round(time * unit.micros)
}
