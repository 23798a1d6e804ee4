import {
  isoWeekOf,
  MICROS_PER_DAY,
  monthOf,
  startOfIsoWeek,
  startOfMonth,
  startOfWeek,
  type IsoWeek,
  type Micros,
  type Month,
} from '../events/calendar.js'

/** A range of UTC days as moments: the start of the first and of the last day, both included. */
export type DayRange = { start: Micros; end: Micros }

const WEEK = 7 * MICROS_PER_DAY

/**
 * The ISO weeks that GitLab counts for a range: from the week that contains `start` to the week before the one that contains
 * `end`. The week of `end` never counts, not even on its Sunday, because it may not be over.
 */
export const completeWeeks = ({ start, end }: DayRange): IsoWeek[] => {
  const weeks = []
  for (let monday = startOfIsoWeek(start); monday < startOfIsoWeek(end); monday += WEEK) weeks.push(isoWeekOf(monday))
  return weeks
}

/** The calendar months that are completely within a range. */
export const wholeMonths = ({ start, end }: DayRange): Month[] => {
  const months = []
  const first = monthOf(start)
  for (let offset = startOfMonth(first) < start ? 1 : 0; ; offset++) {
    const month = monthOf(startOfMonth({ ...first, month: first.month + offset }))
    if (startOfMonth({ ...month, month: month.month + 1 }) > end + MICROS_PER_DAY) return months
    months.push(month)
  }
}

export type TimeFrame = '7d' | '28d' | 'month'

/** The range of a metric's time frame: GitLab's definition for 7d and 28d, the last complete month for `month`. */
export const rangeOf = (timeFrame: TimeFrame, today: Micros): DayRange => {
  if (timeFrame === '7d') return { start: today - WEEK, end: today }
  if (timeFrame === '28d') return { start: today - 4 * WEEK, end: today }
  const thisMonth = monthOf(today)
  return {
    start: startOfMonth({ ...thisMonth, month: thisMonth.month - 1 }),
    end: startOfMonth(thisMonth) - MICROS_PER_DAY,
  }
}

/** The first and last UTC day of consecutive complete weeks; undefined for an empty list. */
export const daysOfWeeks = (weeks: readonly IsoWeek[]): DayRange | undefined => {
  const first = weeks[0]
  const last = weeks.at(-1)
  return first && last && { start: startOfWeek(first), end: startOfWeek(last) + 6 * MICROS_PER_DAY }
}
