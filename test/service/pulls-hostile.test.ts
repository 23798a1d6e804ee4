import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { openPulls, type Pulls } from '../../src/service/open-pulls.js'
import type { PullsAnswer } from '../../src/pulls/query/query-pulls.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { digestOf } from '../servers/history.js'
import { openServers } from '../servers/stores.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const NOON = Date.parse('2026-11-18T12:00:00Z')
const IMAGE = 'application/vnd.oci.image.manifest.v1+json'

type Told = { at?: number; registry?: string; request?: object; method?: string; headers?: Record<string, string> }

describe.each([
  ['PostgreSQL', true],
  ['the embedded database', false],
])('pulls that are told wrongly, on %s', (_, isPostgres) => {
  const closing: (() => Promise<void>)[] = []
  let now = NOON
  let app: TestApp
  let pulls: Pulls

  beforeAll(async () => {
    const environment: Record<string, string> = {}
    if (isPostgres) {
      const servers = await openServers()
      closing.push(servers.close)
      Object.assign(environment, servers.environment)
    }
    app = await openApp(environment, () => new Date(now))
    const { core } = app.app
    pulls = await openPulls(core, core.stores.database)
  })
  afterAll(async () => {
    await app.close()
    for (const close of closing) await close()
  })

  const pulled = ({ at = now, registry = 'registry.example', request, method = 'GET' }: Told): object =>
    notified({
      timestamp: new Date(at).toISOString(),
      action: 'pull',
      target: { repository: 'team/app', tag: '1.0', digest: digestOf('a'), mediaType: IMAGE, size: 10 },
      request: { addr: '192.0.2.1', host: registry, method, useragent: 'containerd/1.7.0', ...request },
    })
  const notify = async (told: readonly Told[], headers?: Record<string, string>): Promise<unknown> => {
    const response = await app.notify({ events: told.map(pulled) }, headers)
    return { status: response.status, ...((await response.json()) as object) }
  }
  /** What nothing newer came of for longer than requests may be late is folded to its end. */
  const fold = async (): Promise<void> => {
    await pulls.fold()
    now += 400_000
    await pulls.fold()
  }
  const get = async (path: string): Promise<unknown> => (await app.get(path)).json()
  const ask = async (query: Record<string, string>): Promise<PullsAnswer> =>
    (await get(`/pulls?${new URLSearchParams({ measures: 'pulls', ...query }).toString()}`)) as PullsAnswer
  const pullsOf = async (registry: string, period: string): Promise<number | undefined> =>
    (await ask({ registry, period })).total.pulls
  const pullsAfter = async (moment: number): Promise<number> => {
    const { rows } = await sql`
      select from pulls.outcomes where at > ${new Date(moment).toISOString()}::timestamptz
    `.execute(app.app.core.stores.database.sql)
    return rows.length
  }
  const skips = async (): Promise<Record<string, number>> =>
    ((await get('/status')) as { skips: Record<string, number> }).skips
  const waiting = async (): Promise<number> => {
    const { rows } = await sql`select from pulls.pending`.execute(app.app.core.stores.database.sql)
    return rows.length
  }

  test('a year ahead, and a year back: set aside with their reasons, and their neighbours count', async () => {
    const registry = 'wrong.example'
    expect(await notify([{ registry }])).toMatchObject({ status: 200, recorded: 1 })
    await fold()
    expect(await pullsOf(registry, 'today')).toBe(1)
    const told = [{ at: now + 365 * DAY }, { at: now - 365 * DAY }, { at: now - 1_000 }]
    expect(await notify(told.map((one) => ({ registry, ...one })))).toEqual({
      status: 200,
      recorded: 2,
      repeated: 0,
      skipped: { timestamp_in_future: 1 },
    })
    await fold()
    expect(await pullsOf(registry, 'today')).toBe(2)
    expect(await pullsOf(registry, '2025')).toBe(0)
    expect(await get('/pulls?period=2027')).toMatchObject({
      message: expect.stringMatching(/begins on 2027-01-01, after today/),
    })
    expect(await pullsAfter(now)).toBe(0)
    expect(await skips()).toMatchObject({ timestamp_in_future: 1, late_request: 1 })
    expect(await (await app.get('/metrics')).text()).toMatch(/outcome="timestamp_in_future"\} 1$/m)
    // Neither stays behind, and the fold goes on.
    expect(await waiting()).toBe(0)
    expect(await notify([{ registry }])).toMatchObject({ recorded: 1 })
    await fold()
    expect(await pullsOf(registry, 'today')).toBe(3)
    expect(await skips()).toMatchObject({ late_request: 1 })
  })

  test('a clock that is some hours ahead waits until it is time, and nobody else does', async () => {
    const registry = 'fast.example'
    const ahead = now + 20 * HOUR
    expect(await notify([{ registry, at: ahead }, { registry }, { registry: 'right.example' }])).toMatchObject({
      recorded: 3,
    })
    await fold()
    expect([await pullsOf(registry, 'today'), await pullsOf('right.example', 'today')]).toEqual([1, 1])
    expect(await waiting()).toBe(1)
    now = ahead + HOUR
    await fold()
    expect([await pullsOf(registry, 'today'), await waiting()]).toEqual([1, 0])
    expect(await skips()).toMatchObject({ late_request: 1 })
  })

  test('a registry of which the first pull is a year old: that day is rolled up, and today is folded as ever', async () => {
    const registry = 'old.example'
    const then = now - 365 * DAY
    const day = new Date(then).toISOString().slice(0, 10)
    expect(
      await notify([
        { registry, at: then },
        { registry, at: then + 1_000, method: 'HEAD' },
      ]),
    ).toMatchObject({
      recorded: 2,
    })
    await fold()
    const counted = async (): Promise<unknown> => ({
      then: (await ask({ registry, since: day, until: day, measures: 'pulls,checks,unique_origins' })).total,
      all: (await ask({ registry, since: day, measures: 'pulls' })).total,
    })
    const old = { pulls: 1, checks: 1, unique_origins: 1 }
    expect(await counted()).toEqual({ then: old, all: { pulls: 1 } })

    expect(await notify([{ registry }])).toMatchObject({ recorded: 1 })
    await fold()
    expect(await counted()).toEqual({ then: old, all: { pulls: 2 } })
    await pulls.rollUp()
    await pulls.forget()
    expect(await counted()).toEqual({ then: old, all: { pulls: 2 } })
    const { rows } = await sql<{ at: Date }>`select at from pulls.outcomes where registry = ${registry}`.execute(
      app.app.core.stores.database.sql,
    )
    expect(rows).toHaveLength(1)

    // From then on a year ago is too late there, and tomorrow goes on.
    expect(await notify([{ registry, at: then + 2_000 }])).toMatchObject({ recorded: 1 })
    now += DAY
    expect(await notify([{ registry }])).toMatchObject({ recorded: 1 })
    await fold()
    await pulls.rollUp()
    expect(await counted()).toEqual({ then: old, all: { pulls: 3 } })
    expect(await skips()).toMatchObject({ late_request: 2 })
  })

  test('who delivers the notification is nobody who pulls, whatever headers say', async () => {
    const registry = 'proxied.example'
    const forged = [
      {},
      { 'x-forwarded-for': '203.0.113.1' },
      { 'x-forwarded-for': '203.0.113.2, 10.0.0.1', 'x-real-ip': '203.0.113.3', forwarded: 'for=203.0.113.4' },
      { 'x-forwarded-for': `${'1.2.3.4,'.repeat(1_000)}203.0.113.5` },
    ]
    for (const headers of forged) {
      now += 120_000
      expect(await notify([{ registry }], headers)).toMatchObject({ recorded: 1 })
    }
    await fold()
    const { total } = await ask({ registry, period: 'today', measures: 'pulls,unique_origins,unique_endpoints' })
    expect(total).toEqual({ pulls: 4, unique_origins: 1, unique_endpoints: 1 })
  })

  test('what stands for an address and is none is that of nobody', async () => {
    const registry = 'forged.example'
    const odd = [
      '',
      'unknown',
      '203.0.113.9, 10.0.0.1',
      '999.1.1.1',
      "'; drop table x",
      '1'.repeat(65_536),
      7,
      ['203.0.113.9'],
    ]
    for (const addr of [...odd, '203.0.113.9', '203.0.113.9:4711', '::ffff:203.0.113.9']) {
      now += 120_000
      expect(await notify([{ registry, request: { addr } }])).toMatchObject({ recorded: 1 })
    }
    await fold()
    const { total } = await ask({ registry, period: 'today', measures: 'pulls,unique_endpoints' })
    // Nobody, and one machine that is written in three ways.
    expect(total).toEqual({ pulls: odd.length + 3, unique_endpoints: 2 })
  })

  test('agents of 64 KiB with control characters are cut, and neither they nor their neighbours are lost', async () => {
    const registry = 'agents.example'
    const agents = [
      `evil\u0001\u001b[31m/1\r\n2${'\u0007x'.repeat(32_768)}`,
      'a\u0000'.repeat(32_768),
      `docker/27.0.1 os/li\u001bnux ${'('.repeat(65_536)}`,
      `\ud800${'y'.repeat(65_536)}`,
      `${'z'.repeat(511)}😀`,
      `acme/${'9'.repeat(65_536)}`,
      'containerd/1.7.0',
    ]
    expect(await notify(agents.map((useragent) => ({ registry, request: { useragent } })))).toEqual({
      status: 200,
      recorded: agents.length,
      repeated: 0,
      skipped: {},
    })
    await fold()
    const { rows, total } = await ask({ registry, period: 'today', group_by: 'client,client_version,os' })
    expect(total.pulls).toBe(agents.length)
    for (const row of rows) {
      for (const name of ['client', 'client_version', 'os'] as const) {
        // eslint-disable-next-line no-control-regex
        expect(row[name] ?? '').toMatch(/^[^\u0000-\u001f\u007f-\u009f]{0,64}$/)
      }
    }
    expect(rows).toContainEqual(expect.objectContaining({ client: 'containerd', client_version: '1.7.0', pulls: 1 }))
    expect(rows).toContainEqual(expect.objectContaining({ client: 'acme', client_version: '9'.repeat(64), pulls: 1 }))
    const { rows: kept } = await sql<{ most: number }>`
      select max(length(r::text)) as most from pulls.requests r where registry = ${registry}
    `.execute(app.app.core.stores.database.sql)
    expect(kept[0]?.most).toBeLessThan(2_000)
  })
})
