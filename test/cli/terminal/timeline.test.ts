import { describe, expect, test } from '@jest/globals'
import { timesOf } from '../../../src/cli/terminal/timeline.js'

const NOW = new Date('2026-11-20T23:30:00Z')
const period = { since: '2026-11-14', until: '2026-12-31', time_zone: 'Europe/Berlin' }

describe('the times of a period', () => {
  test.each([
    ['day', ['14', '15', '16', '17', '18', '19', '20', '21'].map((day) => `2026-11-${day}`)],
    ['week', ['2026-W46', '2026-W47']],
    ['month', ['2026-11']],
    ['client', undefined],
  ])('of the dimension %s are those that have begun in the time zone', (dimension, times) => {
    expect(timesOf(dimension, period, NOW)).toEqual(times)
  })

  test('are hours up to this one', () => {
    const hours = timesOf('hour', { ...period, since: '2026-11-20' }, NOW)
    expect(hours).toHaveLength(25)
    expect(hours?.at(-1)).toBe('2026-11-21T00:00')
  })

  test('are of its day of the week alone', () => {
    expect(timesOf('day', { ...period, weekday: 2 }, NOW)).toEqual(['2026-11-17'])
  })
})
