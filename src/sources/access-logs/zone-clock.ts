import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../../events/calendar.js'

/** Offsets of time zones change at whole minutes. */
const MINUTE = 60 * MICROS_PER_SECOND

/**
 * The moment at which the clocks of a time zone show a time. The shown time is written as if the clocks were in UTC. If the clocks
 * repeat a time, the result is the earlier moment; if they skip it, the time continues the hour before.
 */
export type ReadClock = (shown: Micros) => Micros

/**
 * @param timeZone an IANA time zone (`isTimeZone`)
 * @throws RangeError if there is no such time zone
 */
export const createZoneClock = (timeZone: string): ReadClock => {
  const offsetAt = createOffsets(timeZone)
  const read: ReadClock = (shown) => {
    // No zone changes its offset twice within two days.
    const before = shown - offsetAt(shown - MICROS_PER_DAY)
    const after = shown - offsetAt(shown + MICROS_PER_DAY)
    if (before === after || before + offsetAt(before) === shown) return before
    return after + offsetAt(after) === shown ? after : before
  }
  // Nearly all lines of a log are of the same minute as the line before, and Intl takes microseconds for each time.
  let minute = NaN
  let offset = 0
  return (shown) => {
    const shownMinute = Math.floor(shown / MINUTE) * MINUTE
    if (shownMinute !== minute) {
      offset = shownMinute - read(shownMinute)
      minute = shownMinute
    }
    return shown - offset
  }
}

/** How far the clocks of a zone are ahead of UTC at a moment. */
const createOffsets = (timeZone: string): ((at: Micros) => Micros) => {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (at) => {
    const seconds = Math.floor(at / MICROS_PER_SECOND)
    const shown = { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0 }
    for (const { type, value } of format.formatToParts(seconds * 1_000)) {
      if (type in shown) shown[type as keyof typeof shown] = Number(value)
    }
    const { year, month, day, hour, minute, second } = shown
    return (Date.UTC(year, month - 1, day, hour, minute, second) / 1_000 - seconds) * MICROS_PER_SECOND
  }
}
