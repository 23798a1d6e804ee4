import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { isCronExpression, nextTime, startJobs } from '../../src/runtime/jobs.js'
import { eventually } from '../servers/process.js'

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

describe('jobs while the clock is set', () => {
  const DAY_MS = 86_400_000
  const NOON = Date.parse('2026-11-21T12:00:00Z')
  let runs = 0
  let jobs: ReturnType<typeof startJobs>
  beforeEach(() => {
    jest.useFakeTimers({ now: NOON, doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] })
    runs = 0
    const run = async (): Promise<number> => Promise.resolve(++runs)
    jobs = startJobs([{ name: 'often', cron: '*/10 * * * * *', run }], { onError: () => undefined })
  })
  afterEach(async () => {
    await jobs.stop()
    jest.useRealTimers()
  })

  test('ahead, jobs that delete what is old wait for ten minutes', async () => {
    jest.useFakeTimers({ now: NOON, doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
    let deletions = 0
    const run = async (): Promise<number> => Promise.resolve(++deletions)
    const deleting = startJobs([{ name: 'delete', cron: '*/10 * * * * *', run, deletesOld: true }], {
      onError: () => undefined,
    })
    await jest.advanceTimersByTimeAsync(60_000)
    expect(deletions).toBe(6)
    jest.setSystemTime(NOON + 40 * DAY_MS)
    await jest.advanceTimersByTimeAsync(1_000)
    jest.setSystemTime(NOON + 61_000)
    await jest.advanceTimersByTimeAsync(598_000)
    expect(deletions).toBe(6)
    await jest.advanceTimersByTimeAsync(60_000)
    expect(deletions).toBeGreaterThan(6)
    await deleting.stop()
  })

  test('that delete what is old wait for the time after the start that they are given', async () => {
    jest.useFakeTimers({ now: NOON, doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
    let deletions = 0
    const run = async (): Promise<number> => Promise.resolve(++deletions)
    const deleting = startJobs([{ name: 'delete', cron: '*/10 * * * * *', run, deletesOld: true }], {
      onError: () => undefined,
      unsteadyMs: DAY_MS,
    })
    // A step of the clock does not make it shorter.
    jest.setSystemTime(NOON + 120_000)
    await jest.advanceTimersByTimeAsync(DAY_MS - 1_000)
    expect(deletions).toBe(0)
    await jest.advanceTimersByTimeAsync(20_000)
    expect(deletions).toBeGreaterThan(0)
    await deleting.stop()
  })

  test.each([
    ['back by a day', -DAY_MS],
    ['back by a minute', -60_000],
    ['ahead by a day', DAY_MS],
    ['ahead by 60 days', 60 * DAY_MS],
  ])('%s run at their times, and make up for nothing', async (_, by) => {
    await jest.advanceTimersByTimeAsync(60_000)
    expect(runs).toBe(6)
    jest.setSystemTime(NOON + 60_000 + by)
    const before = process.cpuUsage()
    await jest.advanceTimersByTimeAsync(60_000)
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
    expect(runs).toBeGreaterThanOrEqual(12)
    expect(runs).toBeLessThanOrEqual(13)
  })
})
