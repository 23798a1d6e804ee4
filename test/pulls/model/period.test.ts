import { describe, expect, test } from '@jest/globals'
import { localDay, PeriodError, periodBefore, periodOf } from '../../../src/pulls/model/period.js'

/** A Saturday. */
const TODAY = '2026-11-21'

describe('a period', () => {
  test.each([
    ['today', '2026-11-21', '2026-11-22'],
    ['yesterday', '2026-11-20', '2026-11-21'],
    ['last-7-days', '2026-11-14', '2026-11-21'],
    ['last 28 days', '2026-10-24', '2026-11-21'],
    ['30d', '2026-10-22', '2026-11-21'],
    ['2w', '2026-11-07', '2026-11-21'],
    ['this-week', '2026-11-16', '2026-11-23'],
    ['Last Week', '2026-11-09', '2026-11-16'],
    ['this-month', '2026-11-01', '2026-12-01'],
    ['last-month', '2026-10-01', '2026-11-01'],
    ['last-year', '2025-01-01', '2026-01-01'],
    ['last-3-months', '2026-08-01', '2026-11-01'],
    ['last 2 quarters', '2026-04-01', '2026-10-01'],
    ['last-2-years', '2024-01-01', '2026-01-01'],
    ['this-quarter', '2026-10-01', '2027-01-01'],
    ['last-quarter', '2026-07-01', '2026-10-01'],
    ['2026-Q1', '2026-01-01', '2026-04-01'],
    ['2026-W47', '2026-11-16', '2026-11-23'],
    ['2026-w01', '2025-12-29', '2026-01-05'],
    ['2020-W53', '2020-12-28', '2021-01-04'],
    ['2021-W01', '2021-01-04', '2021-01-11'],
    ['2021', '2021-01-01', '2022-01-01'],
    ['2024-02', '2024-02-01', '2024-03-01'],
    ['2024-02-29', '2024-02-29', '2024-03-01'],
  ])('%s is from %s to %s', (text, from, to) => {
    expect(periodOf(text, TODAY)).toMatchObject({ from, to })
  })

  test('may be one day of each week', () => {
    expect(periodOf('every tuesday of 2026', TODAY)).toEqual({ from: '2026-01-01', to: '2027-01-01', weekday: 2 })
    expect(periodOf('every Sundays in last-month', TODAY)).toEqual({ from: '2026-10-01', to: '2026-11-01', weekday: 7 })
  })

  test.each([2, 10, 1_000])('has one day of the week: %i of them are refused', (times) => {
    expect(() => periodOf(`${'every monday of '.repeat(times)}2026`, TODAY)).toThrow(
      /^unknown period "every-monday-of-/,
    )
  })

  test.each([
    '',
    'soon',
    '2023-02-29',
    '0d',
    '99999d',
    'every someday of 2026',
    '2026-13',
    '2026-W00',
    '2025-W53',
    '2026-Q5',
    'last-0-months',
    'last-9999-years',
    '0001',
    '1969-12',
    '9999',
    'last--7',
    '1'.repeat(10_000),
  ])('is not %j', (text) => {
    expect(() => periodOf(text, TODAY)).toThrow(PeriodError)
  })

  test.each([
    ['last-month', '2026-09-01', '2026-10-01'],
    ['2026', '2025-01-01', '2026-01-01'],
    ['last-7-days', '2026-11-07', '2026-11-14'],
    ['2026-03-10', '2026-03-09', '2026-03-10'],
  ])('before %s is from %s to %s', (text, from, to) => {
    expect(periodBefore(periodOf(text, TODAY))).toMatchObject({ from, to })
  })

  test('of days is compared with as many days, even if they are a whole month', () => {
    expect(periodBefore(periodOf('last-28-days', '2026-03-01'))).toMatchObject({ from: '2026-01-04', to: '2026-02-01' })
    expect(periodBefore(periodOf('30d', '2026-10-01'))).toMatchObject({ from: '2026-08-02', to: '2026-09-01' })
    expect(periodBefore(periodOf('every monday of last-28-days', '2026-03-01'))).toMatchObject({
      ...{ from: '2026-01-04', to: '2026-02-01', weekday: 1 },
    })
    expect(periodBefore(periodOf('last-month', '2026-03-01'))).toMatchObject({ from: '2026-01-01', to: '2026-02-01' })
  })

  test('begins when the local day begins', () => {
    const now = new Date('2026-11-21T23:30:00Z')
    expect(localDay(now, 'UTC')).toBe('2026-11-21')
    expect(localDay(now, 'Europe/Berlin')).toBe('2026-11-22')
    expect(localDay(now, 'America/New_York')).toBe('2026-11-21')
  })
})
