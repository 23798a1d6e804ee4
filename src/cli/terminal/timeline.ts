import { isoWeekOf, microsOf } from '../../events/calendar.js'
import type { ReportedPeriod } from '../../pulls/query/parameters.js'
import { addDays, localDay, weekdayOf } from '../../pulls/model/period.js'

const weekOf = (day: string): string => {
  const { year, week } = isoWeekOf(microsOf(new Date(day)))
  return `${year}-W${String(week).padStart(2, '0')}`
}

/** The names of the groups of a local day in each dimension of time. */
const NAMES: Record<string, (day: string) => string[]> = {
  hour: (day) => Array.from({ length: 24 }, (_, hour) => `${day}T${String(hour).padStart(2, '0')}:00`),
  day: (day) => [day],
  week: (day) => [weekOf(day)],
  month: (day) => [day.slice(0, 7)],
}

const hourNow = (now: Date, timeZone: string): string =>
  new Intl.DateTimeFormat('en', { timeZone, hour: '2-digit', hourCycle: 'h23' }).format(now)

/** All times of a period that have begun, including those without pulls; undefined if the dimension is not a time dimension. */
export const timesOf = (dimension: string, period: ReportedPeriod, now: Date): string[] | undefined => {
  const namesOf = NAMES[dimension]
  if (!namesOf) return undefined
  const { since, until, time_zone: timeZone, weekday } = period
  const today = localDay(now, timeZone)
  const times = new Set<string>()
  for (let day = since; day <= until && day <= today; day = addDays(day, 1))
    if (weekday === undefined || weekdayOf(day) === weekday) for (const name of namesOf(day)) times.add(name)
  const last = dimension === 'hour' ? `${today}T${hourNow(now, timeZone)}:00` : undefined
  return [...times].filter((name) => last === undefined || name <= last)
}
