import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { isCronExpression, nextTime, startJobs } from '../src/jobs.js'
import { eventually } from './servers/process.js'

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

test('jobs run at their times, but those that rest; it is known which are under way', async () => {
  const known: string[] = []
  const failed: string[] = []
  const note =
    (what: string) =>
    (job: string): void => {
      known.push(`${what} ${job}`)
    }
  const job = (name: string, run: () => Promise<unknown>): Parameters<typeof startJobs>[0][number] => ({
    ...{ name, cron: '* * * * * *' },
    run,
  })
  const jobs = startJobs(
    [
      job('works', async () => Promise.resolve(known.push('in works'))),
      job('fails', async () => Promise.reject(new Error('no'))),
      job('rests', async () => Promise.resolve(known.push('in rests'))),
    ],
    {
      onBegin: note('begin'),
      onEnd: note('end'),
      onError: (name) => void failed.push(name),
      isResting: (name) => name === 'rests',
    },
  )
  await eventually('both have ended', async () =>
    Promise.resolve(known.includes('end works') && known.includes('end fails')),
  )
  await jobs.stop()
  expect(known.filter((line) => line.endsWith('works')).slice(0, 3)).toEqual(['begin works', 'in works', 'end works'])
  expect(known.filter((line) => line.endsWith('rests'))).toEqual([])
  expect(new Set(failed)).toEqual(new Set(['fails']))
})
