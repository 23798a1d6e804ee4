import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isoTime } from '../../../src/events/calendar.js'
import { createReadTime } from '../../../src/sources/access-logs/json-time.js'
import { runs } from '../../servers/runs.js'
import { at } from './reading.js'

const readTime = createReadTime()

test.each([
  ['2026-11-21T11:39:41.967776743Z', '2026-11-21T11:39:41.967776Z'],
  ['2026-11-21T12:39:41+01:00', '2026-11-21T11:39:41Z'],
  ['2026-11-21T12:39:41.5+0100', '2026-11-21T11:39:41.5Z'],
  ['2026-11-21 11:39:41,123 Z', '2026-11-21T11:39:41.123Z'],
  ['2026/11/21 11:39:41 +0000', '2026-11-21T11:39:41Z'],
  ['21/Nov/2026:12:39:41 +0100', '2026-11-21T11:39:41Z'],
  ['1795261181', '2026-11-21T11:39:41Z'],
  ['1795261181.967', '2026-11-21T11:39:41.967Z'],
  [1795261181.967776, '2026-11-21T11:39:41.967776Z'],
  [1795261181967, '2026-11-21T11:39:41.967Z'],
  [1795261181967776, '2026-11-21T11:39:41.967776Z'],
  ['1795261181967776000', '2026-11-21T11:39:41.967776Z'],
])('reads %p', (value, time) => {
  expect(readTime(value)).toBe(at(time))
})

test.each([
  [undefined, 'missing'],
  [null, 'missing'],
  ['', 'missing'],
  ['-', 'missing'],
  [true, 'invalid'],
  [[], 'invalid'],
  [-1, 'invalid'],
  [0.25, 'invalid'],
  [1e300, 'invalid'],
  [Infinity, 'invalid'],
  ['9'.repeat(19), 'invalid'],
  ['0000-01-01T00:00:00Z', 'invalid'],
  ['0099-01-01T00:00:00Z', 'invalid'],
  ['1969-12-31T23:59:59Z', 'invalid'],
  ['9999-12-31T23:59:59Z', 'invalid'],
  ['99999-01-01T00:00:00Z', 'invalid'],
  ['2026-02-30T00:00:00Z', 'invalid'],
  ['2026-11-21T11:39:60Z', 'invalid'],
  ['31/Foo/2026:00:00:00 +0000', 'invalid'],
  ['1'.repeat(60_000), 'invalid'],
  ['2026-11-21T11:39:41', 'zone-missing'],
  ['21/Nov/2026:11:39:41', 'zone-missing'],
])('%p is %s', (value, reading) => {
  expect(readTime(value)).toBe(reading)
})

describe('a time without an offset', () => {
  test.each([
    ['Europe/Berlin', '2026-07-01T12:00:00', '2026-07-01T10:00:00Z'],
    ['Europe/Berlin', '2026-12-01T12:00:00', '2026-12-01T11:00:00Z'],
    ['Asia/Kolkata', '2026-12-01T00:15:00.25', '2026-11-30T18:45:00.25Z'],
    ['America/New_York', '2026-03-08T01:59:59.999999', '2026-03-08T06:59:59.999999Z'],
    ['America/New_York', '2026-03-08T03:00:00', '2026-03-08T07:00:00Z'],
    ['Pacific/Kiritimati', '2026-12-01T00:00:00', '2026-11-30T10:00:00Z'],
  ])('is in the given zone: %s, %s', (zone, local, time) => {
    expect(createReadTime(zone)(local)).toBe(at(time))
  })

  test('is the first one of an hour that the clock shows twice', () => {
    expect(createReadTime('Europe/Berlin')('2026-10-25T02:30:00')).toBe(at('2026-10-25T00:30:00Z'))
  })

  test('continues the hour before if the clock skips it', () => {
    expect(createReadTime('Europe/Berlin')('2026-03-29T02:30:00')).toBe(at('2026-03-29T01:30:00Z'))
  })

  test('is the inverse of the clock of the zone, except in an hour shown twice', () => {
    const zone = 'America/St_Johns'
    const clock = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
    const read = createReadTime(zone)
    const from = Date.parse('2012-01-01T00:00:00Z') / 1000
    fc.assert(
      fc.property(fc.integer({ min: from, max: from + 20 * 365 * 86_400 }), (seconds) => {
        const local = clock.format(seconds * 1000)
        const found = read(local)
        expect([0, 3_600]).toContain(typeof found === 'number' ? seconds - found / 1e6 : found)
      }),
      runs(500),
    )
  })
})

test('every moment that is written as RFC 3339 is read again', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (micros) => {
      expect(readTime(isoTime(micros))).toBe(micros)
    }),
    runs(500),
  )
})
