import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { sql } from 'kysely'
import { LeaseTaken } from '../../src/storage/sql/leases.js'
import { runIfDue, type Occurrence } from '../../src/storage/kept-job.js'
import { deleteOtherSchedules } from '../../src/storage/sql/schedules.js'
import { eventually } from '../servers/process.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'
import { ALL_BUT_INTERVALS } from '../servers/timers.js'

const MINUTE = 60_000
const DUE = Date.parse('2026-11-26T10:00:00Z')
const WEEK = 7 * 24 * 60 * MINUTE

type Work = (occurrence: Occurrence) => Promise<'done' | 'later'>
const done: Work = async () => Promise.resolve('done')
const later: Work = async () => Promise.resolve('later')

describe.each(STORE_PAIRS)('a job whose time is kept, on %s', (_, open) => {
  let stores: TestStores
  let clock: number
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    jest.useFakeTimers({ doNotFake: ALL_BUT_INTERVALS })
    await stores.clear()
    clock = DUE - MINUTE
    expect(await run('a', done)).toBe(false)
    clock = DUE
  })
  afterEach(() => {
    jest.useRealTimers()
  })

  const nextWeek = (after: number): Date => new Date(DUE + Math.ceil((after - DUE + 1) / WEEK) * WEEK)
  const run = async (holder: string, work: Work, isReady?: () => Promise<boolean>): Promise<boolean> =>
    runIfDue(
      { database: stores.database, holder, now: () => new Date(clock), ...(isReady && { isReady }) },
      {
        job: 'weekly',
        cron: 'Thursdays at 10',
        timeZone: 'UTC',
        next: () => nextWeek(clock),
        following: () => nextWeek(clock + WEEK),
      },
      work,
    )
  const isLeaseOver = async (): Promise<boolean> => {
    const { rows } = await sql`select from leases where name = 'weekly' and until > now()`.execute(stores.database.sql)
    return rows.length === 0
  }
  const endLease = async (): Promise<void> => {
    await sql`update leases set until = now() - interval '1 second'`.execute(stores.database.sql)
  }

  test('is done by no other process as long as the first one works, however long that is', async () => {
    let isOthers: boolean | undefined
    const long: Work = async () => {
      for (let i = 0; i < 3; i++) {
        await endLease()
        jest.advanceTimersByTime(10 * MINUTE)
        await eventually('the lease is renewed', async () => !(await isLeaseOver()), 20)
      }
      isOthers = await run('b', done)
      return 'done'
    }
    expect(await run('a', long)).toBe(true)
    expect(isOthers).toBe(false)
    expect(await run('b', done)).toBe(false)
  })

  test('is done at once by another process if the first one cannot do it now', async () => {
    expect(await run('a', later)).toBe(false)
    expect(await run('b', done)).toBe(true)
  })

  test('is done once if the clocks of two processes differ by a second', async () => {
    expect(await run('a', done)).toBe(true)
    clock = DUE - 1_000
    expect(await run('b', done)).toBe(false)
    clock = DUE
    expect(await run('b', done)).toBe(false)
  })

  test('is done at its next time after it was done with a clock that was years ahead', async () => {
    clock = DUE + 200 * WEEK
    expect(await run('a', done)).toBe(true)
    clock = DUE + MINUTE
    expect(await run('a', done)).toBe(false)
    clock = DUE + WEEK
    expect(await run('a', done)).toBe(true)
  })

  test('is done although its lease was taken with a clock that was years ahead', async () => {
    await sql`insert into leases values ('weekly', 'one that ended', now() + interval '3 years')`.execute(
      stores.database.sql,
    )
    expect(await run('a', done)).toBe(true)
  })

  test('is left to the others by a process that is not ready for it', async () => {
    const notReady = async (): Promise<boolean> => Promise.resolve(false)
    for (let i = 0; i < 3; i++) expect(await run('a', done, notReady)).toBe(false)
    const { rows } = await sql`select from leases`.execute(stores.database.sql)
    expect(rows).toEqual([])
    expect(await run('b', done, async () => Promise.resolve(true))).toBe(true)
  })

  test('is done once by processes that found it due at the same moment', async () => {
    let works = 0
    const one: Work = async () => {
      works++
      return done({ due: new Date(DUE), complete: async () => Promise.resolve(true) })
    }
    const results = await Promise.all(['a', 'b', 'c', 'd'].map(async (holder) => run(holder, one)))
    expect([results.filter(Boolean).length, works]).toEqual([1, 1])
  })

  test('that was removed from the configuration, and comes back, begins with its next time', async () => {
    clock = DUE + 9 * WEEK - MINUTE
    await deleteOtherSchedules(stores.database.sql, ['another'])
    expect(await run('a', done)).toBe(false)
    clock += MINUTE
    await deleteOtherSchedules(stores.database.sql, ['another', 'weekly'])
    expect(await run('a', done)).toBe(true)
  })

  test('keeps its schedule while another process does it', async () => {
    const removing: Work = async ({ complete }) => {
      await deleteOtherSchedules(stores.database.sql, [])
      expect(await complete(stores.database.sql)).toBe(true)
      return 'done'
    }
    expect(await run('a', removing)).toBe(true)
  })

  test('knows when it was due', async () => {
    clock = DUE + 3 * 24 * 60 * MINUTE
    let due: Date | undefined
    await run('a', async (occurrence) => {
      due = occurrence.due
      return done(occurrence)
    })
    expect(due).toEqual(new Date(DUE))
  })

  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' })
  const sqlState = (code: string): Error => Object.assign(new Error('refused'), { code })
  const wrapped = (cause: unknown): Error =>
    new AggregateError(
      [new Error('one: 404'), new Error('two: broke off', { cause })],
      'not reconciled: one: 404; two: broke off',
    )
  test.each([
    ['the connection is refused', refused],
    ['an administrator ended the session', sqlState('57P01')],
    ['a statement took too long', sqlState('57014')],
    ['a deadlock', sqlState('40P01')],
    ['another process does the same', new LeaseTaken('wait')],
  ])('is done later if %s, also as a cause of one of many errors', async (_, cause) => {
    for (const error of [cause, wrapped(cause)]) {
      await expect(run('a', async () => Promise.reject(error))).rejects.toBe(error)
    }
    expect(await run('b', done)).toBe(true)
  })

  test('waits for its next time if it failed for its own reason', async () => {
    const error = wrapped(new Error('the registry answered 404'))
    await expect(run('a', async () => Promise.reject(error))).rejects.toBe(error)
    expect(await run('b', done)).toBe(false)
    clock = DUE + WEEK
    expect(await run('b', done)).toBe(true)
  })
})
