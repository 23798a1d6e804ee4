import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  isoTime,
  isoWeekOf,
  microsOf,
  monthOf,
  parseTimestamp,
  startOfIsoWeek,
  startOfMonth,
  startOfWeek,
  utcDay,
} from '../../src/events/calendar.js'
import { runs } from '../servers/runs.js'

const at = (day: string): number => microsOf(new Date(`${day}T12:00:00Z`))

describe('timestamps of registries', () => {
  test.each([
    ['2026-11-21T10:49:34.648759891Z', '2026-11-21T10:49:34.648759Z', 'nanoseconds are cut to microseconds'],
    ['2026-11-21T10:49:34Z', '2026-11-21T10:49:34.000000Z', 'no fraction'],
    ['2016-03-09T14:44:26.4-08:00', '2016-03-09T22:44:26.400000Z', 'the offset of the registry'],
    ['2026-11-21T01:00:00.000001+05:30', '2026-11-20T19:30:00.000001Z', 'an offset of half an hour'],
    ['2024-02-29t23:59:59z', '2024-02-29T23:59:59.000000Z', 'lower case, as RFC 3339 allows'],
  ])('%s is %s: %s', (text, expected) => {
    const parsed = parseTimestamp(text)
    expect(parsed).toBeDefined()
    expect(isoTime(parsed ?? NaN)).toBe(expected)
  })

  test.each([
    '',
    '2026-11-21',
    '2026-11-21 10:49:34Z',
    '2026-11-21T10:49:34',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-11-21T24:00:00Z',
    '2026-11-21T10:60:00Z',
    '2026-11-21T10:49:60Z',
    '0050-01-01T00:00:00Z',
    '2026-11-21T10:49:34+25:00',
    'now',
    '1795000000',
  ])('"%s" is none', (text) => {
    expect(parseTimestamp(text)).toBeUndefined()
  })

  test('what is written is read back, to the microsecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e15 }), (micros) => {
        expect(parseTimestamp(isoTime(micros))).toBe(micros)
      }),
      runs(100),
    )
  })

  test('a moment and its day are written as a Date writes them, whatever was written before', () => {
    const largest = 8.64e15
    const moment = fc.oneof(
      fc.integer({ min: -largest, max: largest }),
      fc.integer({ min: -3, max: 3 }).map((near) => microsOf(new Date('2026-11-21T00:00:00Z')) + near),
    )
    fc.assert(
      fc.property(moment, (micros) => {
        const written = new Date(Math.floor(micros / 1_000)).toISOString()
        const below = String(micros - Math.floor(micros / 1_000) * 1_000).padStart(3, '0')
        expect(isoTime(micros)).toBe(`${written.slice(0, -1)}${below}Z`)
        expect(utcDay(micros)).toBe(written.slice(0, 10))
      }),
      runs(1_000),
    )
  })
})

describe('weeks and months', () => {
  test.each([
    ['2020-06-01', 2020, 23],
    ['2020-06-07', 2020, 23],
    ['2021-01-03', 2020, 53],
    ['2021-01-04', 2021, 1],
    ['2024-12-30', 2025, 1],
    ['2026-01-01', 2026, 1],
    ['2027-01-01', 2026, 53],
    ['1970-01-01', 1970, 1],
  ])('%s lies in the ISO week %d-%d', (day, year, week) => {
    expect(isoWeekOf(at(day))).toEqual({ year, week })
  })

  test('a week begins on the Monday its number says, for every day', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3e15 }), (micros) => {
        const monday = startOfIsoWeek(micros)
        expect(startOfWeek(isoWeekOf(micros))).toBe(monday)
        expect(new Date(monday / 1000).getUTCDay()).toBe(1)
        expect(micros - monday).toBeLessThan(7 * 86_400_000_000)
      }),
      runs(100),
    )
  })

  test('a month rolls over into the next year', () => {
    expect(monthOf(at('2026-12-31'))).toEqual({ year: 2026, month: 12 })
    expect(utcDay(startOfMonth({ year: 2026, month: 13 }))).toBe('2027-01-01')
    expect(utcDay(startOfMonth({ year: 2026, month: 0 }))).toBe('2025-12-01')
  })
})
