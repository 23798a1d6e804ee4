import { expect, test } from '@jest/globals'
import { onceAMinute } from '../src/observe.js'

test('of each status the log has one line a minute, whatever comes of others', () => {
  let clock = Date.parse('2026-11-23T09:00:00Z')
  const isToBeTold = onceAMinute(() => new Date(clock))
  expect([401, 503, 401, 500, 503, 500].map(isToBeTold)).toEqual([true, true, false, true, false, false])
  clock += 60_000
  expect([503, 503].map(isToBeTold)).toEqual([true, false])
})
