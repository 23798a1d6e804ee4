import type { ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { pauseIn } from '../../src/events/retry-after.js'
import { createDeliver, type Deliver } from '../../src/ping/deliver.js'
import { claimDuePing, keepPing, newestPing } from '../../src/ping/history.js'
import type { MetricDefinition } from '../../src/metrics/definition.js'
import type { Kinds } from '../../src/metrics/evaluate.js'
import { buildPing, type ServicePing } from '../../src/ping/payload.js'
import { pingCron } from '../../src/ping/schedule.js'
import { createServicePings, type ServicePings } from '../../src/ping/service-ping.js'
import { freePort } from '../servers/process.js'
import { startStub, type Stub, type StubRequest } from '../servers/stub.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

test("the schedule is derived from the uuid as GitLab's is", () => {
  expect(pingCron('d9e2f4e8-db1f-4e51-b03d-f427e1965c4a')).toBe('44 10 * * 4')
})

const MINUTE = 60_000
const WEEK = 7 * 24 * 60 * MINUTE
/** A schedule with a time each week, before and after the one that is given. */
const weekly =
  (time: string) =>
  (after: number): Date =>
    new Date(Date.parse(time) + (Math.floor((after - Date.parse(time)) / WEEK) + 1) * WEEK)
const sender = { uuid: 'u', hostname: 'h', version: '1' }

describe.each(STORE_PAIRS)('a Service Ping on %s', (_, open) => {
  let stores: TestStores
  let stub: Stub
  let answer: (request: StubRequest, response: ServerResponse) => unknown
  let clock: number
  const now = (): Date => new Date(clock)
  let stopping: AbortController
  /** The schedule: a text that a test can change, and its first time after a moment. */
  let cron: string
  let next: (after: number) => Date
  let areStoresThere: boolean
  const build = async (): Promise<ServicePing> =>
    Promise.resolve({ payload: { recorded_at: now().toISOString(), uuid: 'u' }, metadata: { uuid: 'u', metrics: [] } })

  beforeAll(async () => {
    stores = await open()
    stub = await startStub((request, response) => answer(request, response))
  })
  afterAll(async () => {
    await stub.stop()
    await stores.close()
  })
  beforeEach(async () => {
    await stores.clear()
    stopping = new AbortController()
    clock = Date.parse('2026-11-23T09:00:00Z')
    cron = 'Thursdays at 10'
    next = weekly('2026-11-26T10:00:00Z')
    areStoresThere = true
    answer = (_request, response) => response.end('{}')
  })
  afterEach(() => {
    stub.requests.length = 0
  })

  const deliver = (path = '/usage_data'): Deliver =>
    createDeliver({
      database: stores.database,
      destination: new URL(stub.url + path),
      sender,
      now,
      stopping: stopping.signal,
    })
  const instanceDeps = (holder: string): Parameters<typeof createServicePings>[0] => ({
    database: stores.database,
    build: async () => build(),
    holder,
    now,
    random: () => 0,
    sleep: async () => Promise.resolve(),
    stopping: stopping.signal,
    schedule: { job: 'ping', cron, timeZone: 'UTC', next: () => next(clock), following: () => undefined },
    storesAnswer: async () => Promise.resolve(areStoresThere),
  })
  const instance = (holder: string, to?: Deliver): ServicePings =>
    createServicePings({ ...instanceDeps(holder), ...(to && { deliver: to }) })
  const posted = (): string[] => stub.requests.map(({ method, path }) => `${method} ${path}`)

  test('is POSTed, then its metadata, and marked as sent', async () => {
    const { sent, ping } = await instance('a', deliver()).sendNow()
    expect([sent, ping]).toEqual([true, await newestPing(stores.database)])
    expect(posted()).toEqual(['POST /usage_data', 'POST /usage_ping_metadata'])
    expect(stub.requests[0]).toMatchObject({
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: '{"recorded_at":"2026-11-23T09:00:00.000Z","uuid":"u"}',
    })
    expect(JSON.parse(stub.requests[1]?.body ?? '')).toEqual({ metadata: { uuid: 'u', metrics: [] } })
    expect(await newestPing(stores.database)).toMatchObject({
      sentAt: now(),
      attempts: 1,
      nextAttemptAt: null,
      lastError: null,
    })
  })

  test('without a destination is built and stored, but not sent', async () => {
    expect((await instance('a').sendNow()).sent).toBe(false)
    expect(await newestPing(stores.database)).toMatchObject({ sentAt: null, nextAttemptAt: null, attempts: 0 })
    await instance('a').retry()
    expect(posted()).toEqual([])
  })

  test('that fails is tried again with growing waits, reports the error, and is given up after two days', async () => {
    answer = (_request, response) => response.writeHead(503).end()
    await expect(instance('a', deliver()).sendNow()).rejects.toThrow(
      'the destination answered 503; the ping is stored, and the next attempt is at 2026-11-23T09:01:00.000Z',
    )
    expect(posted()).toEqual(['POST /usage_data', 'POST /usage_ping_errors'])
    expect(JSON.parse(stub.requests[1]?.body ?? '')).toEqual({
      error: { time: now().toISOString(), ...sender, message: 'the destination answered 503', elapsed: 0 },
    })

    const waits = []
    for (let attempt = 1; attempt < 20; attempt++) {
      const next = (await newestPing(stores.database))?.nextAttemptAt
      if (!next) break
      waits.push((next.getTime() - clock) / MINUTE)
      clock = next.getTime() - 1
      expect(await deliver().due()).toEqual({ sent: 0, failed: 0 })
      clock += 1
      expect(await deliver().due()).toEqual({ sent: 0, failed: 1 })
    }
    expect(waits).toEqual([1, 5, 30, 120, 480, 960, 1440])
    expect((clock - Date.parse('2026-11-23T09:00:00Z')) / (60 * MINUTE)).toBeCloseTo(50.6)
    expect(await newestPing(stores.database)).toMatchObject({ attempts: 8, lastError: 'the destination answered 503' })
  })

  test.each([
    [429, '3600', 60],
    [503, '3600', 60],
    [429, '1', 1],
    [429, String(30 * 24 * 3600), 24 * 60],
  ])(
    'that is answered %d with Retry-After %s is not tried before, nor is the refusal reported',
    async (status, after, minutes) => {
      answer = (_request, response) => response.writeHead(status, { 'retry-after': after }).end()
      const destination = new URL(`${stub.url}/usage_data`)
      const deliver = createDeliver({
        database: stores.database,
        destination,
        sender,
        now,
        stopping: stopping.signal,
        pauseIn,
      })
      await expect(instance('a', deliver).sendNow()).rejects.toThrow('asks to slow down; the ping is stored')
      expect(posted()).toEqual(['POST /usage_data'])
      expect(await newestPing(stores.database)).toMatchObject({ nextAttemptAt: new Date(clock + minutes * MINUTE) })
    },
  )

  const twelveDuePings = async (): Promise<void> => {
    for (let i = 0; i < 12; i++) {
      clock += 1_000
      await keepPing(stores.database.sql, await build(), now())
    }
  }
  const polite = (): Deliver =>
    createDeliver({
      database: stores.database,
      destination: new URL(`${stub.url}/usage_data`),
      sender,
      now,
      stopping: stopping.signal,
      pauseIn,
    })

  test('and all others wait if the destination asks to slow down, whichever instance would send them', async () => {
    await twelveDuePings()
    answer = (_request, response) => response.writeHead(429, { 'retry-after': '3600' }).end()
    expect(await polite().due()).toEqual({ sent: 0, failed: 1 })
    expect(posted()).toEqual(['POST /usage_data'])
    clock += 59 * MINUTE
    expect(await polite().due()).toEqual({ sent: 0, failed: 0 })
    expect(posted()).toHaveLength(1)
    answer = (_request, response) => response.end()
    clock += MINUTE
    expect(await polite().due()).toEqual({ sent: 10, failed: 0 })
    expect(await polite().due()).toEqual({ sent: 2, failed: 0 })
  })

  test.each([
    ['its metadata', 'usage_ping_metadata', 200, { sent: 1, failed: 0 }],
    ['the report of a failure', 'usage_ping_errors', 500, { sent: 0, failed: 1 }],
  ])('and all others wait if the destination refuses %s', async (_, refused, status, expected) => {
    await twelveDuePings()
    answer = ({ path }, response) => response.writeHead(path.endsWith(refused) ? 429 : status).end()
    expect(await polite().due()).toEqual(expected)
    expect(posted()).toEqual(['POST /usage_data', `POST /${refused}`])
    expect(await polite().due()).toEqual({ sent: 0, failed: 0 })
  })

  test('is sent by a later try, as it was made', async () => {
    answer = (_request, response) => response.writeHead(500).end()
    await expect(instance('a', deliver()).sendNow()).rejects.toThrow()
    answer = (_request, response) => response.end()
    clock += MINUTE
    stub.requests.length = 0
    await instance('a', deliver()).retry()
    expect(stub.requests[0]?.body).toBe('{"recorded_at":"2026-11-23T09:00:00.000Z","uuid":"u"}')
    expect(await claimDuePing(stores.database, new Date(clock + 1e10), now())).toBeUndefined()
  })

  test('is sent once, although the job runs while it is being sent', async () => {
    const sender = instance('a', deliver())
    answer = async (_request, response) => {
      await sender.retry()
      response.end()
    }
    expect((await sender.sendNow()).ping).toMatchObject({ attempts: 1, sentAt: now() })
    clock += MINUTE
    await keepPing(stores.database.sql, await build(), now())
    await Promise.all([sender.retry(), sender.retry()])
    expect(posted().filter((line) => line === 'POST /usage_data')).toHaveLength(2)
  })

  test('whose next attempt was scheduled while the clock was ahead is due', async () => {
    answer = (_request, response) => response.writeHead(500).end()
    await expect(instance('a', deliver()).sendNow()).rejects.toThrow('500')
    answer = (_request, response) => response.end('{}')
    const schedule = async (hours: number): Promise<unknown> =>
      sql`update service_pings set next_attempt_at = ${new Date(clock + hours * 60 * MINUTE)}`.execute(
        stores.database.sql,
      )
    await schedule(24)
    expect(await deliver().due()).toEqual({ sent: 0, failed: 0 })
    await schedule(26)
    expect(await deliver().due()).toEqual({ sent: 1, failed: 0 })
  })

  test('whose sender died meanwhile is sent by the job some minutes later', async () => {
    const dying = { ...deliver(), now: async () => Promise.reject(new Error('killed')) }
    await expect(instance('a', dying).sendNow()).rejects.toThrow('killed')
    const other = instance('a', deliver())
    clock += 4 * MINUTE
    await other.retry()
    expect(posted()).toEqual([])
    clock += MINUTE
    await other.retry()
    expect(await newestPing(stores.database)).toMatchObject({ sentAt: now(), attempts: 1 })
  })

  test('follows no redirect, and the error of an unavailable destination does not contain its address', async () => {
    answer = (_request, response) => response.writeHead(302, { location: '/elsewhere' }).end()
    await expect(instance('a', deliver()).sendNow()).rejects.toThrow('the destination answered 302')
    expect(posted()).not.toContain('GET /elsewhere')
    const nowhere = createDeliver({
      database: stores.database,
      destination: new URL(`http://127.0.0.1:${await freePort()}/x`),
      sender,
      now,
      stopping: stopping.signal,
    })
    clock += 1
    await expect(instance('a', nowhere).sendNow()).rejects.toThrow(
      /cannot be reached \(ECONNREFUSED\); the ping is stored/,
    )
  })

  test('a login in the address becomes a header', async () => {
    const destination = new URL(stub.url.replace('//', '//user:pa%40ss@'))
    await instance(
      'a',
      createDeliver({ database: stores.database, destination, sender, now, stopping: stopping.signal }),
    ).sendNow()
    expect(stub.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('user:pa@ss').toString('base64')}`)
  })

  const pings = async (): Promise<string[]> =>
    (
      await sql<{ at: Date }>`select recorded_at as at from service_pings order by 1`.execute(stores.database.sql)
    ).rows.map(({ at }) => at.toISOString())
  const at = (time: string): void => {
    clock = Date.parse(time)
  }

  test('is made at its time by one of all instances, whoever wakes first', async () => {
    const instances = ['a', 'b', 'c'].map((holder) => instance(holder, deliver()))
    const makeDue = async (): Promise<boolean[]> => Promise.all(instances.map(async (one) => one.makeDue()))
    expect(await makeDue()).toEqual([false, false, false])
    at('2026-11-26T09:59:59Z')
    expect(await makeDue()).toEqual([false, false, false])
    at('2026-11-26T10:00:00Z')
    expect((await makeDue()).filter(Boolean)).toHaveLength(1)
    expect(posted().filter((line) => line === 'POST /usage_data')).toHaveLength(1)
    // An instance whose clock is behind, and all of them a minute later, whoever has the lease.
    clock -= 45_000
    expect(await instance('d', deliver()).makeDue()).toBe(false)
    clock += 105_000
    await sql`update leases set until = now() - interval '1 second'`.execute(stores.database.sql)
    expect(await makeDue()).toEqual([false, false, false])
    at('2026-12-03T10:00:10Z')
    expect((await makeDue()).filter(Boolean)).toHaveLength(1)
    expect(await pings()).toEqual(['2026-11-26T10:00:00.000Z', '2026-12-03T10:00:10.000Z'])
  })

  test('that was made while another instance made it is kept once', async () => {
    await instance('a').makeDue()
    at('2026-11-26T10:00:00Z')
    const slow = createServicePings({
      ...instanceDeps('a'),
      build: async () => {
        await sql`update leases set until = now() - interval '1 second'`.execute(stores.database.sql)
        expect(await instance('b').makeDue()).toBe(true)
        clock += 1_000
        return build()
      },
    })
    expect(await slow.makeDue()).toBe(false)
    expect(await pings()).toEqual(['2026-11-26T10:00:00.000Z'])
  })

  test('that cannot be made at its time is made as soon as the stores answer', async () => {
    await instance('a').makeDue()
    at('2026-11-26T10:00:00Z')
    areStoresThere = false
    expect(await instance('a').makeDue()).toBe(false)
    at('2026-11-28T12:00:00Z')
    expect(await instance('a').makeDue()).toBe(false)
    areStoresThere = true
    expect(await instance('a').makeDue()).toBe(true)
    clock += MINUTE
    expect(await instance('a').makeDue()).toBe(false)
    expect(await pings()).toEqual(['2026-11-28T12:00:00.000Z'])
  })

  test('whose numbers were read while a store became unavailable is rebuilt later', async () => {
    await instance('a').makeDue()
    at('2026-11-26T10:00:00Z')
    const losing = createServicePings({
      ...instanceDeps('a'),
      build: async () => {
        areStoresThere = false
        return build()
      },
    })
    expect(await losing.makeDue()).toBe(false)
    expect(await pings()).toEqual([])
  })

  const lacking = (error: string) => async (): Promise<ServicePing> => {
    const ping = await build()
    return { ...ping, metadata: { ...ping.metadata, metrics: [{ name: 'counts.users', time_elapsed: 0, error }] } }
  }

  test('without the numbers of a store that was unavailable and has recovered is rebuilt later', async () => {
    await instance('a').makeDue()
    at('2026-11-26T10:00:00Z')
    const broken = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })
    const returned = async (): Promise<Error[]> => Promise.resolve([broken])
    const definition = { key_path: 'counts.users', data_source: 'redis_hll', status: 'active' } as MetricDefinition
    const kinds = { redis_hll: returned } as unknown as Kinds
    const categories = new Set([definition.data_category])
    const losing = createServicePings({
      ...instanceDeps('a'),
      build: async () => buildPing({ definitions: [definition], kinds, uuid: 'u', categories, now }),
    })
    expect(await losing.makeDue()).toBe(false)
    expect(await pings()).toEqual([])
    clock += MINUTE
    expect(await instance('b').makeDue()).toBe(true)
    expect(await pings()).toEqual(['2026-11-26T10:01:00.000Z'])
  })

  test('that lacks a number which fails each time is made at its time; one whose store never answers, after a day', async () => {
    await instance('a').makeDue()
    at('2026-11-26T10:00:00Z')
    const failing = createServicePings({ ...instanceDeps('a'), build: lacking('division by zero') })
    expect(await failing.makeDue()).toBe(true)
    const losing = createServicePings({ ...instanceDeps('a'), build: lacking('the store does not answer') })
    at('2026-12-04T09:59:00Z')
    expect(await losing.makeDue()).toBe(false)
    at('2026-12-04T10:00:00Z')
    expect(await losing.makeDue()).toBe(true)
  })

  test('is left to other instances by one for which a store does not answer', async () => {
    await instance('a').makeDue()
    at('2026-11-26T10:00:00Z')
    const cutOff = createServicePings({ ...instanceDeps('a'), storesAnswer: async () => Promise.resolve(false) })
    for (let i = 0; i < 3; i++, clock += MINUTE) expect(await cutOff.makeDue()).toBe(false)
    expect(await instance('b').makeDue()).toBe(true)
  })

  test('that failed for the database is made again later; its error is reported', async () => {
    await instance('a').makeDue()
    at('2026-11-26T10:00:00Z')
    const lost = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    const failing = createServicePings({ ...instanceDeps('a'), build: async () => Promise.reject(lost) })
    await expect(failing.makeDue()).rejects.toThrow('ECONNREFUSED')
    expect(await instance('a').makeDue()).toBe(true)
  })

  test('is made late by the process that starts after its time', async () => {
    await instance('a').makeDue()
    at('2026-11-27T08:00:00Z')
    expect(await instance('b').makeDue()).toBe(true)
    expect(await instance('b').makeDue()).toBe(false)
  })

  test('is none for the time before the installation', async () => {
    at('2026-11-26T10:00:01Z')
    expect(await instance('a').makeDue()).toBe(false)
    at('2026-12-03T09:59:00Z')
    expect(await instance('a').makeDue()).toBe(false)
    at('2026-12-03T10:00:00Z')
    expect(await instance('a').makeDue()).toBe(true)
  })

  test('follows a schedule that was changed, and no time is made twice or lost', async () => {
    await instance('a').makeDue()
    // Before its time: the new time counts.
    cron = 'Fridays at 10'
    next = weekly('2026-11-27T10:00:00Z')
    expect(await instance('a').makeDue()).toBe(false)
    at('2026-11-26T10:00:00Z')
    expect(await instance('a').makeDue()).toBe(false)
    at('2026-11-27T10:00:00Z')
    expect(await instance('a').makeDue()).toBe(true)
    // After it was made: none for a time that the new schedule would have had before.
    cron = 'Wednesdays at 10'
    next = weekly('2026-11-25T10:00:00Z')
    at('2026-11-28T10:00:00Z')
    expect(await instance('a').makeDue()).toBe(false)
    // After a time that was missed: that one is made, whatever the new schedule is.
    at('2026-12-03T10:00:00Z')
    cron = 'Mondays at 10'
    next = weekly('2026-11-30T10:00:00Z')
    expect(await instance('a').makeDue()).toBe(true)
    expect(await instance('a').makeDue()).toBe(false)
    expect(await pings()).toEqual(['2026-11-27T10:00:00.000Z', '2026-12-03T10:00:00.000Z'])
  })

  test('made by hand is beside the schedule', async () => {
    await instance('a').makeDue()
    at('2026-11-26T10:00:00Z')
    await instance('a').sendNow()
    clock += 1_000
    expect(await instance('a').makeDue()).toBe(true)
  })

  test('that waits when the process stops is not made, and made by the next', async () => {
    await instance('a').makeDue()
    at('2026-11-26T10:00:00Z')
    stopping.abort()
    expect(await instance('a').makeDue()).toBe(false)
    expect(await newestPing(stores.database)).toBeUndefined()
    stopping = new AbortController()
    await sql`update leases set until = now() - interval '1 second'`.execute(stores.database.sql)
    expect(await instance('b').makeDue()).toBe(true)
  })

  test('that is being sent when the process stops is no failed attempt, and sent by whoever comes next', async () => {
    answer = () => {
      stopping.abort()
    }
    await expect(instance('a', deliver()).sendNow()).rejects.toThrow(
      'Tallyman stops; the ping is stored, and sent later',
    )
    expect(await newestPing(stores.database)).toMatchObject({ attempts: 0, sentAt: null, lastError: null })
    stopping = new AbortController()
    answer = (_request, response) => response.end()
    clock += 5 * MINUTE
    await instance('b', deliver()).retry()
    expect(await newestPing(stores.database)).toMatchObject({ attempts: 1, sentAt: now() })
  })

  test('is sent by the next process at once, whoever sent the last one', async () => {
    await instance('a', deliver()).retry()
    await keepPing(stores.database.sql, await build(), now())
    await instance('b', deliver()).retry()
    expect(await newestPing(stores.database)).toMatchObject({ sentAt: now() })
  })

  test('kept twice at one moment is one row', async () => {
    await keepPing(stores.database.sql, await build(), undefined)
    await keepPing(stores.database.sql, await build(), undefined)
    expect(await newestPing(stores.database)).toMatchObject({ payload: { uuid: 'u' } })
  })
})
