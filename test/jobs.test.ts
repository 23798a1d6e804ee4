import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { isCronExpression, nextTime } from '../src/jobs.js'

describe('a schedule', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: Date.parse('2026-11-21T12:00:00Z'), doNotFake: ['setTimeout', 'setImmediate'] })
  })
  afterEach(() => {
    jest.useRealTimers()
  })

  test.each([
    ['44 10 * * 4', undefined, '2026-11-26T10:44:00.000Z'],
    ['44 10 * * 4', 'Europe/Berlin', '2026-11-26T09:44:00.000Z'],
    ['0 12 * * *', undefined, '2026-11-22T12:00:00.000Z'],
    ['*/10 * * * * *', undefined, '2026-11-21T12:00:10.000Z'],
  ])('%s in %s comes round next at %s', (cron, timeZone, expected) => {
    const next = nextTime({ cron, ...(timeZone !== undefined && { timeZone }) })
    expect(next?.toISOString()).toBe(expected)
  })

  test('that never comes round is none', () => {
    expect(['44 10 * * 4', '44 10 * *', '0 0 30 2 *', 'sometimes'].map(isCronExpression)).toEqual([
      true,
      false,
      false,
      false,
    ])
  })
})
