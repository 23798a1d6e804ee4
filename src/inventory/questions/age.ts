import { dateOf, isoTime, microsOf, MS_PER_DAY, parseTimestamp, startOfDay } from '../../events/calendar.js'

const AGE = /^([1-9]\d{0,4})([dwmy])$/
/** A time zone offset may lead there. Such a year has five digits, which databases read differently. */
const YEAR_10000 = Date.UTC(10_000, 0, 1) * 1_000

/** The format of ages, for a message. */
export const AGES =
  'an age such as 90d, 12w, 6m or 1y (days, weeks, calendar months, years), or a day such as 2026-05-21'

/**
 * The moment that an age or a day names, as ISO 8601; undefined if the text is neither. Days and weeks are subtracted from now.
 * Months and years go back in the calendar at the same time of day, to the last day of a month that is too short. A day is
 * 00:00 UTC.
 */
export const momentOf = (text: string, now: Date): string | undefined => {
  const age = AGE.exec(text)
  if (age) return agoOf(Number(age[1]), age[2] ?? '', now)
  const at = startOfDay(text) ?? parseTimestamp(text)
  return at === undefined || at >= YEAR_10000 ? undefined : isoTime(at)
}

const agoOf = (count: number, unit: string, now: Date): string | undefined => {
  const then =
    unit === 'd' || unit === 'w'
      ? new Date(now.getTime() - count * (unit === 'w' ? 7 : 1) * MS_PER_DAY)
      : monthsBefore(now, unit === 'y' ? count * 12 : count)
  // Nothing is older, and earlier years would have other lengths.
  return then.getTime() > 0 ? isoTime(microsOf(then)) : isoTime(microsOf(dateOf(0)))
}

const monthsBefore = (now: Date, months: number): Date => {
  const then = new Date(now)
  then.setUTCMonth(now.getUTCMonth() - months)
  // A day that the month lacks becomes a day of the next month.
  if (then.getUTCDate() !== now.getUTCDate()) then.setUTCDate(0)
  return then
}
