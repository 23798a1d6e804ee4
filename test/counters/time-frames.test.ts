import { describe, expect, test } from '@jest/globals'
import { weekName, monthName } from '../../src/counters/keys.js'
import { completeWeeks, rangeOf, wholeMonths, type TimeFrame } from '../../src/counters/time-frames.js'
import { microsOf } from '../../src/events/calendar.js'

const day = (text: string): number => microsOf(new Date(`${text}T00:00:00Z`))
const weeks = (timeFrame: TimeFrame, today: string): string[] =>
  completeWeeks(rangeOf(timeFrame, day(today))).map(weekName)
const months = (start: string, end: string): string[] =>
  wholeMonths({ start: day(start), end: day(end) }).map(monthName)

describe("GitLab's windows", () => {
  test.each([
    ['2020-06-01', ['2020-22'], ['2020-19', '2020-20', '2020-21', '2020-22']],
    ['2020-06-07', ['2020-22'], ['2020-19', '2020-20', '2020-21', '2020-22']],
    ['2021-01-03', ['2020-52'], ['2020-49', '2020-50', '2020-51', '2020-52']],
    ['2021-01-04', ['2020-53'], ['2020-50', '2020-51', '2020-52', '2020-53']],
    ['2024-06-01', ['2024-21'], ['2024-18', '2024-19', '2024-20', '2024-21']],
    ['2026-01-01', ['2025-52'], ['2025-49', '2025-50', '2025-51', '2025-52']],
  ])('on %s the last 7 days are %j and the last 28 %j', (today, seven, twentyEight) => {
    expect(weeks('7d', today)).toEqual(seven)
    expect(weeks('28d', today)).toEqual(twentyEight)
  })

  test('the week of the last day never counts, not even on its Sunday', () => {
    const range = (start: string, end: string): string[] =>
      completeWeeks({ start: day(start), end: day(end) }).map(weekName)
    expect(range('2026-11-16', '2026-11-22')).toEqual([])
    expect(range('2026-11-16', '2026-11-23')).toEqual(['2026-47'])
    expect(range('2026-11-22', '2026-11-23')).toEqual(['2026-47'])
    expect(range('2026-11-23', '2026-11-01')).toEqual([])
  })
})

describe('calendar months', () => {
  test('the last complete one, at any day and over the turn of the year', () => {
    const month = (today: string): string[] => wholeMonths(rangeOf('month', day(today))).map(monthName)
    expect(month('2026-11-01')).toEqual(['2026-M10'])
    expect(month('2026-11-30')).toEqual(['2026-M10'])
    expect(month('2027-01-15')).toEqual(['2026-M12'])
  })

  test('only months that lie wholly in a range', () => {
    expect(months('2026-09-01', '2026-11-29')).toEqual(['2026-M09', '2026-M10'])
    expect(months('2026-09-02', '2026-11-30')).toEqual(['2026-M10', '2026-M11'])
    expect(months('2026-12-01', '2027-01-31')).toEqual(['2026-M12', '2027-M01'])
    expect(months('2026-11-02', '2026-11-30')).toEqual([])
    expect(months('2026-11-30', '2026-11-01')).toEqual([])
  })
})
