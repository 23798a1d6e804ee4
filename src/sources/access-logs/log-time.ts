import { dateOf, MICROS_PER_DAY, MICROS_PER_SECOND, utcMs, type Micros } from '../../events/calendar.js'
import type { ReadClock } from './zone-clock.js'

const MONTHS: ReadonlyMap<string | undefined, number> = new Map(
  ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'].map((name, i) => [name, i + 1]),
)
const LOG_TIME = /^(\d\d)\/([A-Z][a-z]{2})\/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?: ([+-])(\d\d):?([0-5]\d))?$/
const HIGHEST_OFFSET_HOUR = 23
const MINUTE = 60 * MICROS_PER_SECOND

/**
 * Reads the time of the common log format, `21/Nov/2026:11:39:41 +0000`, with or without a fraction of the second and a colon in the offset. A time without
 * zone, as HAProxy writes it, is read by `readClock`.
 * @returns undefined if the text is no such time, or if it has no zone and there is no clock
 */
export const readLogTime = (text: string, readClock?: ReadClock): Micros | undefined => {
  const [, day, name, year, hour, minute, second, fraction = '', sign, hours, minutes] = LOG_TIME.exec(text) ?? []
  const month = MONTHS.get(name)
  if (month === undefined) return undefined
  const shown = utcMicros({
    year: Number(year),
    month,
    day: Number(day),
    hour: Number(hour),
    minute: Number(minute),
    second: Number(second),
  })
  if (shown === undefined || Number(hours ?? 0) > HIGHEST_OFFSET_HOUR) return undefined
  const offset = (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * MINUTE
  const moment = sign === undefined ? readClock?.(shown) : shown - offset
  return moment === undefined ? undefined : moment + Number(fraction.slice(0, 6).padEnd(6, '0'))
}

const utcMicros = (time: Parameters<typeof utcMs>[0]): Micros | undefined => {
  const ms = utcMs(time)
  return ms === undefined ? undefined : ms * 1_000
}

const SYSLOG_TIME = /^([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)$/
/** A year has 29 February again after at most eight years. */
const MOST_YEARS = 8

/**
 * Reads the time of a syslog message, `Aug  8 09:01:38` (RFC 3164, section 4.1.2). It has no year: the year is the newest one in which
 * the time exists and is not after `notAfter`.
 * @returns undefined if the text is no such time
 */
export const readSyslogTime = (text: string, readClock: ReadClock, notAfter: Micros): Micros | undefined => {
  const [, name, day, hour, minute, second] = SYSLOG_TIME.exec(text) ?? []
  const month = MONTHS.get(name)
  if (month === undefined) return undefined
  const time = { month, day: Number(day), hour: Number(hour), minute: Number(minute), second: Number(second) }
  // In a zone east of UTC, the next year begins before it does in UTC.
  const newest = dateOf(notAfter).getUTCFullYear() + 1
  for (let year = newest; year > newest - MOST_YEARS - 2; year--) {
    const shown = utcMicros({ year, ...time })
    // Clocks are less than a day ahead of UTC. The check saves the conversion of a time that is far in the future.
    if (shown === undefined || shown - MICROS_PER_DAY > notAfter) continue
    const moment = readClock(shown)
    if (moment <= notAfter) return moment
  }
  return undefined
}
