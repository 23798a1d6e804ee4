/** A range of local days, as YYYY-MM-DD: `from` is included, `to` is not. */
export type Period = {
  from: string
  to: string
  /** Only this day of the week: 1 is Monday. */
  weekday?: number
  /** Whether the query gave a number of days. Such a period may cover a whole month by chance. */
  isDays?: true
}

/** A text does not name a period. The message lists the valid forms. */
export class PeriodError extends Error {}

const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']
const EXPECTED =
  'expected today, yesterday, 7d or 28d (so many days up to yesterday), last-7-days, this-week, last-week, this-month, last-month, ' +
  'last-2-weeks, last-3-months, this-quarter, last-quarter, last-2-quarters, this-year, last-year, a day (2026-03-10), an ISO week (2026-W11), a month (2026-03), a quarter (2026-Q1), a year (2026), or one of them after "every tuesday of"'

/**
 * Parses the name of a period, by the calendar of a time zone: "last 7 days" are the seven days before today, "7d" is the
 * short form; weeks begin on Monday (ISO 8601).
 * @param today the local day, as YYYY-MM-DD.
 * @throws PeriodError
 */
export const periodOf = (text: string, today: string): Period => {
  const words = text
    .trim()
    .toLowerCase()
    .replace(/[\s_]+/g, '-')
  const [, weekday, rest] = /^every-([a-z]+?)s?-(?:of|in)-(.+)$/.exec(words) ?? []
  const range = rangeOf(rest ?? words, today)
  if (!range) throw new PeriodError(`unknown period "${(rest ?? text).slice(0, LONGEST_EXCERPT)}"; ${EXPECTED}`)
  if (weekday === undefined) return range
  const number = WEEKDAYS.indexOf(weekday) + 1
  if (number === 0) throw new PeriodError(`unknown day of the week "${weekday.slice(0, LONGEST_EXCERPT)}"`)
  return { ...range, weekday: number }
}

const LONGEST_EXCERPT = 40

/** A period without a day of the week. */
const rangeOf = (words: string, today: string): Period | undefined =>
  calendar(words) ??
  isoWeek(words) ??
  quarterOfYear(words) ??
  lastDays(words, today) ??
  lastMonths(words, today) ??
  named(words, today)

const MOST_DAYS = 36_500

const lastDays = (words: string, today: string): Period | undefined => {
  const [, count, unit = 'd'] = /^(?:last-)?(\d{1,5})-?(d|days?|weeks?|w)$/.exec(words) ?? []
  if (count === undefined) return undefined
  const days = Number(count) * (unit.startsWith('w') ? 7 : 1)
  return days >= 1 && days <= MOST_DAYS ? { from: addDays(today, -days), to: today, isDays: true } : undefined
}

const MONTHS = { month: 1, quarter: 3, year: 12 }
const MOST_MONTHS = 1_200

/** Whole months, quarters or years before the current one. */
const lastMonths = (words: string, today: string): Period | undefined => {
  const [, count, unit] = /^last-(\d{1,4})-(month|quarter|year)s?$/.exec(words) ?? []
  if (count === undefined || unit === undefined) return undefined
  const length = MONTHS[unit as keyof typeof MONTHS]
  const months = Number(count) * length
  const to = startOf(today, length)
  return months >= 1 && months <= MOST_MONTHS ? { from: addMonths(to, -months), to } : undefined
}

/** The first day of the month, quarter or year of a day. */
const startOf = (day: string, months: number): string => {
  const month = Number(day.slice(5, 7)) - 1
  return addMonths(`${day.slice(0, 7)}-01`, -(month % months))
}

const named = (words: string, today: string): Period | undefined => {
  const monday = addDays(today, 1 - weekdayOf(today))
  const [month, quarter, year] = [startOf(today, 1), startOf(today, 3), startOf(today, 12)]
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
    case 'this-quarter':
      return { from: quarter, to: addMonths(quarter, 3) }
    case 'last-quarter':
      return { from: addMonths(quarter, -3), to: quarter }
    case 'this-year':
      return { from: year, to: addMonths(year, 12) }
    case 'last-year':
      return { from: addMonths(year, -12), to: year }
    default:
      return undefined
  }
}

const quarterOfYear = (words: string): Period | undefined => {
  const [, year, number] = /^(\d{4})-q([1-4])$/.exec(words) ?? []
  const first = `${year ?? ''}-01-01`
  if (number === undefined || !isDay(first)) return undefined
  const from = addMonths(first, (Number(number) - 1) * 3)
  return { from, to: addMonths(from, 3) }
}

/** An ISO week, for example 2026-w48: the first week of a year contains 4 January. */
export const isoWeek = (words: string): Period | undefined => {
  const [, year, number] = /^(\d{4})-w(\d{2})$/.exec(words) ?? []
  const fourth = `${year ?? ''}-01-04`
  if (number === undefined || !isDay(fourth)) return undefined
  const from = addDays(fourth, 1 - weekdayOf(fourth) + (Number(number) - 1) * 7)
  // A week belongs to the year of its Thursday.
  return addDays(from, 3).startsWith(year ?? '') ? { from, to: addDays(from, 7) } : undefined
}

const calendar = (words: string): Period | undefined => {
  const [, year, month, day] = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/.exec(words) ?? []
  if (year === undefined) return undefined
  const from = `${year}-${month ?? '01'}-${day ?? '01'}`
  if (!isDay(from)) return undefined
  if (day !== undefined) return { from, to: addDays(from, 1) }
  return { from, to: addMonths(from, month === undefined ? 12 : 1) }
}

/** The previous period of the same length: as many whole months, or as many days. */
export const periodBefore = ({ from, to, ...rest }: Period): Period => {
  const months =
    (Number(to.slice(0, 4)) - Number(from.slice(0, 4))) * 12 + Number(to.slice(5, 7)) - Number(from.slice(5, 7))
  if (rest.isDays !== true && from.endsWith('-01') && to.endsWith('-01') && months > 0)
    return { ...rest, from: addMonths(from, -months), to: from }
  return { ...rest, from: addDays(from, -daysBetween(from, to)), to: from }
}

/** Whether a text is a valid day, for example 2026-02-28. No event is older than 1970, and databases read years of four digits. */
export const isDay = (text: string): boolean =>
  /^(?:19[7-9]|2\d\d)\d-\d{2}-\d{2}$/.test(text) &&
  !Number.isNaN(Date.parse(text)) &&
  new Date(text).toISOString().startsWith(text)

export const addDays = (day: string, days: number): string =>
  new Date(Date.parse(day) + days * 86_400_000).toISOString().slice(0, 10)

export const addMonths = (day: string, months: number): string =>
  new Date(Date.UTC(Number(day.slice(0, 4)), Number(day.slice(5, 7)) - 1 + months, 1)).toISOString().slice(0, 10)

const daysBetween = (from: string, to: string): number => Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000)

/** 1 is Monday. */
export const weekdayOf = (day: string): number => new Date(day).getUTCDay() || 7

/** The local day of a moment in an IANA time zone. */
export const localDay = (now: Date, timeZone: string): string =>
  new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(now)
