import { describe, expect, test } from '@jest/globals'
import { pauseIn, pauseMs } from '../../src/events/retry-after.js'

const NOW = new Date('2026-11-18T10:00:00Z')
const pauseOf = (status: number, headers: Record<string, string> = {}): unknown =>
  pauseIn({ status, headers: new Headers(headers) }, NOW)

describe('a peer that asks to slow down', () => {
  test.each([
    ['seconds', '30', 30_000],
    ['no time at all', '0', 0],
    ['an HTTP date', 'Wed, 18 Nov 2026 10:00:45 GMT', 45_000],
    ['an HTTP date of the old form', 'Wednesday, 18-Nov-26 10:01:00 GMT', 60_000],
    ['a date that has passed', 'Wed, 18 Nov 2026 09:00:00 GMT', 0],
    ['a Unix time, as Docker Hub sends it', String(NOW.getTime() / 1000 + 20), 20_000],
    ['nothing that can be read', 'soon', undefined],
    ['a negative number', '-5', undefined],
    ['a year', '2026-11-18', undefined],
  ])('429 with %s', (_, header, expected) => {
    expect(pauseOf(429, { 'retry-after': header })).toEqual({ retryAfterMs: expected })
  })

  test('429 is a refusal for now in any case, 503 only with Retry-After, and nothing else is', () => {
    expect(pauseOf(429)).toEqual({ retryAfterMs: undefined })
    expect(pauseOf(429, { 'x-retry-after': '7' })).toEqual({ retryAfterMs: 7_000 })
    expect(pauseOf(503, { 'retry-after': '7' })).toEqual({ retryAfterMs: 7_000 })
    for (const status of [200, 401, 404, 500, 502, 503]) expect(pauseOf(status)).toBeUndefined()
  })

  test('without Retry-After pauses double from a second to a minute, with some chance in them', () => {
    expect([1, 2, 3, 7, 100].map((refusals) => pauseMs({}, refusals, 1))).toEqual([1_000, 2_000, 4_000, 60_000, 60_000])
    expect(pauseMs({}, 3, 0)).toBe(2_000)
  })

  test.each([
    [undefined, 2_000],
    [0, 2_000],
    [1_500, 2_000],
    [30_000, 30_000],
  ])('with a pause of %s ms, the second refusal in a row is followed by one of %s', (retryAfterMs, expected) => {
    expect(pauseMs({ retryAfterMs }, 2, 1)).toBe(expected)
  })
})
