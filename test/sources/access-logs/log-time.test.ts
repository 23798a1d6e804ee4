import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isoTime } from '../../../src/events/calendar.js'
import { readLogTime, readSyslogTime } from '../../../src/sources/access-logs/log-time.js'
import { createZoneClock } from '../../../src/sources/access-logs/zone-clock.js'
import { runs } from '../../servers/runs.js'
import { at } from './reading.js'

describe('the clocks of a time zone', () => {
  test.each([
    ['Europe/Berlin', '2026-01-15T12:00:00Z', '2026-01-15T11:00:00Z'],
    ['Europe/Berlin', '2026-07-15T12:00:00Z', '2026-07-15T10:00:00Z'],
    ['Europe/Berlin', '2026-03-29T01:59:59Z', '2026-03-29T00:59:59Z'],
    ['Europe/Berlin', '2026-03-29T03:00:00Z', '2026-03-29T01:00:00Z'],
    ['America/New_York', '2026-11-01T00:59:59Z', '2026-11-01T04:59:59Z'],
    ['Asia/Kolkata', '2026-01-01T00:00:00Z', '2025-12-31T18:30:00Z'],
    ['Pacific/Kiritimati', '2027-01-01T00:30:00Z', '2026-12-31T10:30:00Z'],
  ])('in %s show %s at %s', (zone, shown, moment) => {
    expect(createZoneClock(zone)(at(shown))).toBe(at(moment))
  })

  test.each([
    ['a repeated hour', 'Europe/Berlin', '2026-10-25T02:30:00Z', '2026-10-25T00:30:00Z'],
    ['a skipped hour', 'Europe/Berlin', '2026-03-29T02:30:00Z', '2026-03-29T01:30:00Z'],
    ['a repeated hour west of UTC', 'America/New_York', '2026-11-01T01:30:00Z', '2026-11-01T05:30:00Z'],
    ['a skipped day', 'Pacific/Apia', '2011-12-30T12:00:00Z', '2011-12-30T22:00:00Z'],
  ])(
    'have the earlier moment of a repeated time, and skipped times continue the hour before: %s',
    (_, zone, shown, moment) => {
      expect(isoTime(createZoneClock(zone)(at(shown)))).toBe(isoTime(at(moment)))
    },
  )

  test('agree with Intl for all moments that they do not repeat', () => {
    const zone = 'Australia/Lord_Howe'
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
    const shownAt = (moment: number): number => at(`${format.format(moment / 1000).replace(' ', 'T')}Z`)
    const second = fc.integer({ min: 0, max: at('2037-01-01T00:00:00Z') / 1_000_000 })
    const clock = createZoneClock(zone)
    fc.assert(
      fc.property(second, (seconds) => {
        const shown = shownAt(seconds * 1_000_000)
        const moment = clock(shown)
        expect(shownAt(moment)).toBe(shown)
        expect(moment).toBeLessThanOrEqual(seconds * 1_000_000)
      }),
      runs(200),
    )
  })
})

describe('a time of syslog', () => {
  const utc = createZoneClock('UTC')
  test.each([
    ['Aug  8 09:01:38', '2026-11-30T00:00:00Z', '2026-08-08T09:01:38Z'],
    ['Dec 31 23:59:59', '2026-11-30T00:00:00Z', '2025-12-31T23:59:59Z'],
    ['Nov 30 00:00:00', '2026-11-30T00:00:00Z', '2026-11-30T00:00:00Z'],
    ['Nov 30 00:00:01', '2026-11-30T00:00:00Z', '2025-11-30T00:00:01Z'],
    ['Feb 29 12:00:00', '2026-11-30T00:00:00Z', '2024-02-29T12:00:00Z'],
    ['Feb 29 12:00:00', '1904-02-29T11:00:00Z', '1896-02-29T12:00:00Z'],
  ])('%s, not after %s, is %s', (text, notAfter, expected) => {
    expect(readSyslogTime(text, utc, at(notAfter))).toBe(at(expected))
  })

  test('can be in the next year of a zone east of UTC', () => {
    const time = readSyslogTime('Jan  1 00:30:00', createZoneClock('Asia/Tokyo'), at('2025-12-31T16:00:00Z'))
    expect(time).toBe(at('2025-12-31T15:30:00Z'))
  })

  test.each(['Feb 30 12:00:00', 'Foo  1 12:00:00', 'Aug  8 24:00:00', 'Aug 8 09:01:38', ''])('is not %j', (text) => {
    expect(readSyslogTime(text, utc, at('2026-11-30T00:00:00Z'))).toBeUndefined()
  })
})

test('a time without zone needs a clock', () => {
  expect(readLogTime('29/Oct/2015:23:59:29.957')).toBeUndefined()
  expect(readLogTime('29/Oct/2015:23:59:29.957', createZoneClock('UTC'))).toBe(at('2015-10-29T23:59:29.957Z'))
})
