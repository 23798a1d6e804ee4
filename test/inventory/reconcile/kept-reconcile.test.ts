import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { sql } from 'kysely'
import { lastReconciliations } from '../../../src/inventory/reconcile/reports.js'
import { scheduledReconcile } from '../../../src/inventory/reconcile/scheduled.js'
import { createRegistries } from '../../../src/registries/registries.js'
import { runIfDue, type Occurrence } from '../../../src/storage/kept-job.js'
import { takeLease } from '../../../src/storage/sql/leases.js'
import { eventually } from '../../servers/process.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { imageNamed, put, stubRegistry, type StubRegistry } from '../../servers/stub-registry.js'
import { ALL_BUT_INTERVALS } from '../../servers/timers.js'

const MINUTE = 60_000
const DUE = Date.parse('2026-11-29T02:30:00Z')
const WEEK = 7 * 24 * 60 * MINUTE

describe.each(STORE_PAIRS)('a scheduled reconcile on %s', (_, open) => {
  let stores: TestStores
  let clock: number
  /** What each registry does before it answers a request. */
  let before: Record<string, (request: string) => void | Promise<void>>
  let registries: Map<string, StubRegistry>
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    jest.useFakeTimers({ doNotFake: ALL_BUT_INTERVALS })
    await stores.clear()
    before = {}
    registries = new Map()
    clock = DUE - MINUTE
    expect(await run('a')).toBe(false)
    clock = DUE
  })
  afterEach(() => {
    jest.useRealTimers()
  })

  const now = (): Date => new Date(clock)
  const named = (name: string): { name: string; aliases: string[]; url: string; cache: false } => ({
    name,
    aliases: [],
    url: 'https://registry.example',
    cache: false,
  })
  const clientFor = ({ name }: { name: string }): StubRegistry => {
    const registry = stubRegistry(10, (request) => before[name]?.(request))
    put(registry.repository('team/app'), imageNamed('a1', ['b1']), '1.0')
    put(registry.repository('team/web'), imageNamed('a2', ['b2']), '1.0')
    registries.set(name, registry)
    return registry
  }
  /** What an instance does each minute. */
  const run = async (holder: string, signal?: AbortSignal): Promise<boolean> => {
    const { database } = stores
    const needs = {
      database,
      registries: createRegistries(() => [named('one'), named('two')]),
      clientFor,
      now,
      rate: 1_000,
      ...(signal && { signal }),
    }
    const next = (): Date => new Date(DUE + Math.ceil((clock - DUE + 1) / WEEK) * WEEK)
    const work = async ({ due }: Occurrence): Promise<'done' | 'later'> => scheduledReconcile(needs, false, due)
    const following = (): undefined => undefined
    const schedule = { job: 'reconcile', cron: '30 2 * * 0', timeZone: 'UTC', next, following }
    return runIfDue({ database, holder, now }, schedule, work)
  }
  const finished = async (): Promise<string[]> =>
    (
      await sql<{ registry: string }>`
        select registry from inventory.reconciliations where finished_at is not null order by id
      `.execute(stores.database.sql)
    ).rows.map(({ registry }) => registry)

  test('is done by no other process while it runs, however long that is', async () => {
    let isDoneByOther: boolean | undefined
    before.two = async (request) => {
      if (request !== 'tags team/web' || isDoneByOther !== undefined) return
      await sql`update leases set until = now() - interval '1 second'`.execute(stores.database.sql)
      clock += 10 * MINUTE
      jest.advanceTimersByTime(10 * MINUTE)
      await eventually('both leases are renewed', async () => {
        const { rows } = await sql`select from leases where until > now()`.execute(stores.database.sql)
        return rows.length === 2
      })
      isDoneByOther = await run('b')
    }
    expect(await run('a')).toBe(true)
    expect(isDoneByOther).toBe(false)
    expect(await finished()).toEqual(['one', 'two'])
    expect(await run('b')).toBe(false)
  })

  test('is finished by another instance if the first one is stopped', async () => {
    const stopping = new AbortController()
    before.two = (request) => {
      if (request === 'tags team/web') stopping.abort()
    }
    expect(await run('a', stopping.signal)).toBe(false)
    expect(await finished()).toEqual(['one'])
    before = {}
    registries.clear()
    clock += 30 * MINUTE
    expect(await run('b')).toBe(true)
    expect(await finished()).toEqual(['one', 'two'])
    // What was finished since the run was due is not asked again.
    expect([...registries.keys()]).toEqual(['two'])
    expect(await run('a')).toBe(false)
  })

  test('waits for a registry that another process reconciles, and asks the others once', async () => {
    await takeLease(stores.database, 'reconcile one', 'the command', 3600)
    for (let i = 0; i < 3; i++, clock += MINUTE) expect(await run('a')).toBe(false)
    expect(await finished()).toEqual(['two'])
    await sql`delete from leases`.execute(stores.database.sql)
    expect(await run('b')).toBe(true)
    expect(await finished()).toEqual(['two', 'one'])
  })

  test('is not done for a registry that is busy while another one fails', async () => {
    await takeLease(stores.database, 'reconcile one', 'the command', 3600)
    before.two = () => {
      throw new Error('it does not answer')
    }
    await expect(run('a')).rejects.toThrow('not reconciled: two: it does not answer')
    await sql`delete from leases`.execute(stores.database.sql)
    before = {}
    expect(await run('b')).toBe(true)
    expect((await finished()).sort()).toEqual(['one', 'two'])
  })

  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' })
  const ended = Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' })
  test.each([
    ['the catalog is read', 'catalog', refused],
    ['a repository is read', 'tags team/web', refused],
    ['a repository is read, by an administrator', 'tags team/web', ended],
  ])('continues later if the database becomes unavailable while %s', async (_when, request, lost) => {
    before.one = (asked) => {
      if (asked === request) throw lost
    }
    await expect(run('a')).rejects.toThrow(`not reconciled: one: ${lost.message}`)
    expect(registries.has('two')).toBe(false)
    before = {}
    clock += MINUTE
    expect(await run('b')).toBe(true)
    expect((await finished()).sort()).toEqual(['one', 'two'])
    expect((await lastReconciliations(stores.database.sql)).map(({ failed }) => failed)).toEqual([0, 0])
  })

  test('waits for its next time if a registry fails', async () => {
    before.one = () => {
      throw new Error('it does not answer')
    }
    await expect(run('a')).rejects.toThrow('not reconciled: one: it does not answer')
    expect(await finished()).toEqual(['two'])
    expect(await run('b')).toBe(false)
  })
})
