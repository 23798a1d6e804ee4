/** A stretch of local days: from the first one up to, and without, another. Days are YYYY-MM-DD. */
export type Period = {
  from: string
  to: string
  /** Only this day of the week: 1 is Monday. */
  weekday?: number
  /** Whether it was asked for as so many days: they may be a whole month by chance. */
  isDays?: true
}

/** The words do not name a period. The message says which do. */
export class PeriodError extends Error {}

const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']
const EXPECTED =
  'expected today, yesterday, last-7-days, this-week, last-week, this-month, last-month, a day (2026-03-10), a month (2026-03), ' +
  'a year (2026), or one of them after "every tuesday of"'

/**
 * What people call a period, by the calendar of a time zone: "last 7 days" are the seven before today, "30d" is short for
 * them; weeks begin on Monday (ISO 8601).
 * @param today the local day, as YYYY-MM-DD.
 * @throws PeriodError
 */
export const periodOf = (text: string, today: string): Period => {
  const words = text
    .trim()
    .toLowerCase()
    .replace(/[\s_]+/g, '-')
  const [, weekday, rest] = /^every-([a-z]+?)s?-(?:of|in)-(.+)$/.exec(words) ?? []
  if (weekday !== undefined && rest !== undefined) {
    const number = WEEKDAYS.indexOf(weekday) + 1
    if (number === 0) throw new PeriodError(`"${weekday}" is no day of the week`)
    return { ...periodOf(rest, today), weekday: number }
  }
  return calendar(words) ?? lastDays(words, today) ?? named(words, today) ?? fail(text)
}

const fail = (text: string): never => {
  throw new PeriodError(`"${text.slice(0, 40)}" is no period; ${EXPECTED}`)
}

const MOST_DAYS = 36_500

const lastDays = (words: string, today: string): Period | undefined => {
  const [, count, unit = 'd'] = /^(?:last-)?(\d{1,5})-?(d|days?|weeks?|w)$/.exec(words) ?? []
  if (count === undefined) return undefined
  const days = Number(count) * (unit.startsWith('w') ? 7 : 1)
  return days >= 1 && days <= MOST_DAYS ? { from: addDays(today, -days), to: today, isDays: true } : undefined
}

const named = (words: string, today: string): Period | undefined => {
  const monday = addDays(today, 1 - weekdayOf(today))
  const month = `${today.slice(0, 7)}-01`
  const year = `${today.slice(0, 4)}-01-01`
  switch (words) {
    case 'today':
      return { from: today, to: addDays(today, 1) }
    case 'yesterday':
      return { from: addDays(today, -1), to: today }
    case 'this-week':
      return { from: monday, to: addDays(monday, 7) }
    case 'last-week':
      return { from: addDays(monday, -7), to: monday }
    case 'this-month':
      return { from: month, to: addMonths(month, 1) }
    case 'last-month':
      return { from: addMonths(month, -1), to: month }
    case 'this-year':
      return { from: year, to: addMonths(year, 12) }
    case 'last-year':
      return { from: addMonths(year, -12), to: year }
    default:
      return undefined
  }
}

const calendar = (words: string): Period | undefined => {
  const [, year, month, day] = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/.exec(words) ?? []
  if (year === undefined) return undefined
  const from = `${year}-${month ?? '01'}-${day ?? '01'}`
  if (!isDay(from)) return undefined
  if (day !== undefined) return { from, to: addDays(from, 1) }
  return { from, to: addMonths(from, month === undefined ? 12 : 1) }
}

/** The period of the same kind before this one: whole months stay whole months, and so many days as many. */
export const periodBefore = ({ from, to, ...rest }: Period): Period => {
  const months =
    (Number(to.slice(0, 4)) - Number(from.slice(0, 4))) * 12 + Number(to.slice(5, 7)) - Number(from.slice(5, 7))
  if (rest.isDays !== true && from.endsWith('-01') && to.endsWith('-01') && months > 0)
    return { ...rest, from: addMonths(from, -months), to: from }
  return { ...rest, from: addDays(from, -daysBetween(from, to)), to: from }
}

/** Whether a text is a day that can be asked for, as 2026-02-28: events are told since 1970, and databases read four digits. */
export const isDay = (text: string): boolean =>
  /^(?:19[7-9]|2\d\d)\d-\d{2}-\d{2}$/.test(text) &&
  !Number.isNaN(Date.parse(text)) &&
  new Date(text).toISOString().startsWith(text)

export const addDays = (day: string, days: number): string =>
  new Date(Date.parse(day) + days * 86_400_000).toISOString().slice(0, 10)

export const addMonths = (day: string, months: number): string =>
  new Date(Date.UTC(Number(day.slice(0, 4)), Number(day.slice(5, 7)) - 1 + months, 1)).toISOString().slice(0, 10)

const daysBetween = (from: string, to: string): number => Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000)

const weekdayOf = (day: string): number => new Date(day).getUTCDay() || 7

/** The local day of a moment in an IANA time zone. */
export const localDay = (now: Date, timeZone: string): string =>
  new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(now)
