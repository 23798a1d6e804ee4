/**
 * A moment: whole microseconds since 1970-01-01T00:00:00Z. Registries send times with more digits than milliseconds, and the
 * order of events depends on these digits.
 */
export type Micros = number

export const MICROS_PER_SECOND = 1_000_000
export const MICROS_PER_DAY = 86_400_000_000
export const MS_PER_DAY = 86_400_000

export type IsoWeek = { year: number; week: number }
export type Month = { year: number; month: number }

const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))$/i

/** Parses an RFC 3339 timestamp, and cuts the time to microseconds. Returns undefined if the text is no such timestamp. */
export const parseTimestamp = (text: string): Micros | undefined => {
  const parts = RFC_3339.exec(text)
  if (!parts) return undefined
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const offset = parts[8] ? (parts[8] === '-' ? -1 : 1) * (Number(parts[9]) * 60 + Number(parts[10])) : 0
  const ms = utcMs({ year, month, day, hour, minute, second })
  if (ms === undefined || Math.abs(offset) > 24 * 60) return undefined
  return (ms - offset * 60_000) * 1000 + Number((parts[7] ?? '').slice(0, 6).padEnd(6, '0'))
}

type CalendarTime = { year: number; month: number; day: number; hour: number; minute: number; second: number }

/**
 * The milliseconds since 1970 of a time in UTC. January is month 1.
 * @returns undefined if the calendar has no such time; years before 100 and leap seconds count as such
 */
export const utcMs = ({ year, month, day, hour, minute, second }: CalendarTime): number | undefined => {
  const ms = Date.UTC(year, month - 1, day, hour, minute, second)
  const date = new Date(ms)
  const exists = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return exists && hour <= 23 && minute <= 59 && second <= 59 ? ms : undefined
}

/** The first moment of a UTC day, as `2026-11-21`; undefined if the text is no day of the calendar. */
export const startOfDay = (day: string): Micros | undefined => parseTimestamp(`${day}T00:00:00Z`)

export const microsOf = (date: Date): Micros => date.getTime() * 1000
export const dateOf = (at: Micros): Date => new Date(Math.floor(at / 1000))

const dayOf = (at: Micros): number => Math.floor(at / MICROS_PER_DAY)

/** The day that was formatted last: most moments are of the same day, and formatting a Date is slow. */
let writtenDay = { number: NaN, text: '' }

/**
 * A UTC day in the format of ISO 8601: years outside 0 to 9999 have more digits and a sign.
 * @param number whole days since 1970-01-01
 */
const isoDay = (number: number): string => {
  if (number !== writtenDay.number) {
    writtenDay = { number, text: new Date(number * MS_PER_DAY).toISOString().slice(0, -'T00:00:00.000Z'.length) }
  }
  return writtenDay.text
}

/** The UTC day, for example `2026-11-21`. */
export const utcDay = (at: Micros): string => isoDay(dayOf(at)).slice(0, 10)

/** The ISO 8601 week of a moment, in UTC. A week belongs to the year of its Thursday. */
export const isoWeekOf = (at: Micros): IsoWeek => {
  const monday = startOfIsoWeek(at) / 1000
  const thursday = new Date(monday + 3 * MS_PER_DAY)
  const year = thursday.getUTCFullYear()
  const dayOfYear = (thursday.getTime() - Date.UTC(year, 0, 1)) / MS_PER_DAY
  return { year, week: Math.floor(dayOfYear / 7) + 1 }
}

/** Monday 00:00 UTC of the ISO week that contains a moment. */
export const startOfIsoWeek = (at: Micros): Micros => {
  const day = Math.floor(at / MICROS_PER_DAY)
  // 1970-01-01 was a Thursday.
  return (day - ((((day + 3) % 7) + 7) % 7)) * MICROS_PER_DAY
}

/** Monday 00:00 UTC of a week by its number; week 1 contains January 4th. */
export const startOfWeek = ({ year, week }: IsoWeek): Micros =>
  startOfIsoWeek(Date.UTC(year, 0, 4) * 1000) + (week - 1) * 7 * MICROS_PER_DAY

export const monthOf = (at: Micros): Month => {
  const date = dateOf(at)
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1 }
}

/** The first moment of a month. A month below 1 or above 12 belongs to another year: month 13 is January of the next year. */
export const startOfMonth = ({ year, month }: Month): Micros => Date.UTC(year, month - 1, 1) * 1000

/** A moment in ISO 8601, in UTC with microseconds, for example `2026-11-21T10:49:34.648759Z`. */
export const isoTime = (at: Micros): string => {
  const day = dayOf(at)
  const inDay = at - day * MICROS_PER_DAY
  const seconds = Math.floor(inDay / MICROS_PER_SECOND)
  const [hour, minute, second] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60]
  const micros = String(inDay % MICROS_PER_SECOND).padStart(6, '0')
  return `${isoDay(day)}T${twoDigits(hour)}:${twoDigits(minute)}:${twoDigits(second)}.${micros}Z`
}

const twoDigits = (number: number): string => (number < 10 ? `0${number}` : String(number))

/** Whether a text is an IANA time zone, for example Europe/Berlin. */
export const isTimeZone = (text: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
    return true
  } catch {
    return false
  }
}
