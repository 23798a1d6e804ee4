import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { sql } from 'kysely'
import express, { type ErrorRequestHandler } from 'express'
import { parse } from 'yaml'
import { publicUsageData, usageData } from '../../src/http/usage-data.js'
import type { LoadedMetric } from '../../src/metrics/definition.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { eventually, temporaryFolder } from '../servers/process.js'
import { ROOT } from '../servers/service.js'
import { denseOf } from '../servers/sketches.js'

// A Monday: the week before is complete, and so is October.
const now = (): Date => new Date('2026-11-23T09:00:00Z')
const rules = temporaryFolder('rules')
writeFileSync(
  join(rules.path, 'mine.yml'),
  `extends: ${join(ROOT, 'definitions/events/registry.yml')}
events:
  - { name: deploys, description: Deployments, category: mine, unique: user, aggregations: [weekly, monthly, total] }
  - { name: rollbacks, description: Roll-backs, category: mine, aggregations: [total] }
  - { name: readers, description: Readers, category: mine, unique: user, aggregations: [weekly] }
`,
)

let app: TestApp
beforeAll(async () => {
  app = await openApp({ TALLYMAN_EVENT_RULES: join(rules.path, 'mine.yml') }, now)
  const by = (name: string, timestamp: string, tag: string | undefined): unknown =>
    notified({ timestamp, actor: { name, user_type: 'build' }, target: { repository: 'team/app', tag } })
  await app.notify({
    events: [
      by('alice', '2026-11-16T00:00:00Z', '1'),
      by('bob', '2026-11-22T23:59:59Z', '1'),
      by('carol', '2026-11-22T23:59:59Z', undefined),
      by('dave', '2026-11-23T00:00:00Z', '1'),
      by('erin', '2026-10-05T00:00:00Z', '1'),
    ],
  })
})
afterAll(async () => {
  await app.close()
  rules.remove()
})

const json = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
  const response = await app.get(path)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const TAG = 'i_container_registry_push_tag_user'
const REPOSITORY = 'i_container_registry_push_repository_user'
const unique = async (query: string): Promise<unknown> => (await json(`/usage_data/unique_events?${query}`)).body

describe('GET /usage_data/unique_events', () => {
  test.each([
    ['a sketch that no members can have made', denseOf(() => 63)],
    ['no sketch', Buffer.from('no sketch')],
  ])('names the key of what is %s', async (_, bytes) => {
    const { sketches, database } = app.app.core.stores
    const key = '{hll_counters}_readers-2026-47'
    await sql`insert into sketches values (${key}, ${Buffer.from(bytes)}, '2100-01-01')`.execute(database.sql)
    const answer = await json('/usage_data/unique_events?event_names=readers&start_date=2026-11-16&end_date=2026-11-23')
    await database.transaction(async (tx) => sketches.replace(key, undefined, 1, tx))
    expect(answer).toEqual({
      status: 502,
      body: {
        message: `502 Bad Gateway: what is stored under ${key} is no sketch that can be counted; restore it from a backup, or delete the key`,
      },
    })
  })

  test('counts whole weeks, and says which keys it used', async () => {
    expect(await unique(`event_names=${TAG}&start_date=2026-11-16&end_date=2026-11-23`)).toEqual({
      value: 2,
      event_names: [TAG],
      aggregation: 'weekly',
      start_date: '2026-11-16',
      end_date: '2026-11-23',
      keys: [`{hll_counters}_${TAG}-2026-47`],
      estimate: { method: 'HyperLogLog', standard_error: 0.0081 },
    })
  })

  test('merges events: no user counts twice', async () => {
    expect(await unique(`event_names=${TAG},${REPOSITORY}&start_date=2026-11-16&end_date=2026-11-30`)).toMatchObject({
      value: 4,
    })
    expect(
      await unique(`event_names[]=${TAG}&event_names[]=${TAG}&start_date=2026-11-16&end_date=2026-11-30`),
    ).toMatchObject({ value: 3 })
  })

  test('counts whole calendar months', async () => {
    const query = `event_names=${TAG}&start_date=2026-10-01&end_date=2026-11-30&aggregation=monthly`
    expect(await unique(query)).toMatchObject({
      value: 4,
      keys: [`{hll_counters}_${TAG}-2026-M10`, `{hll_counters}_${TAG}-2026-M11`],
    })
  })

  test('is -1 where no whole week lies in the range', async () => {
    expect(await unique(`event_names=${TAG}&start_date=2026-11-16&end_date=2026-11-22`)).toMatchObject({
      value: -1,
      keys: [],
    })
  })

  test('answers the same under /api/v4', async () => {
    expect(
      (await json(`/api/v4/usage_data/unique_events?event_names=${TAG}&start_date=2026-11-16&end_date=2026-11-23`)).body
        .value,
    ).toBe(2)
  })

  test.each([
    ['', /event_names: is missing.*; start_date: is missing; end_date: is missing/],
    [
      `event_names=nonsense&start_date=2026-11-16&end_date=2026-11-23`,
      /event_names: "nonsense" is not an event with unique users; "tallyman metrics docs" and docs\/metrics\.md list/,
    ],
    [
      `event_names=i_container_registry_push&start_date=2026-11-16&end_date=2026-11-23`,
      /event_names: "i_container_registry_push" is an event with a total .*; "tallyman ping" shows totals/,
    ],
    [
      `event_names=${TAG}&start_date=2026-12-23&end_date=2026-12-01`,
      /end_date: expected a day that is not before start_date/,
    ],
    [`event_names=${TAG}&start_date=2026-02-30&end_date=2026-11-23`, /start_date: is a day of the calendar/],
    [`event_names=${TAG}&start_date=16.11.2026&end_date=2026-11-23`, /start_date: is a day like 2026-11-21/],
    [`event_names=${TAG}&start_date=2026-11-16&end_date=2026-11-23&aggregation=daily`, /aggregation: /],
    [`event_names=${TAG}&start_date=1970-01-01&end_date=9999-12-31`, /longer than 20 years/],
    [
      `event_names=${Array.from({ length: 6 }, () => [TAG, REPOSITORY, 'deploys', 'readers', 'i_container_registry_pull_tag_user', 'i_container_registry_delete_tag_user']).join()}&start_date=2006-11-20&end_date=2026-11-16`,
      /at most 5000 are counted at once/,
    ],
  ])('refuses "%s" with 400', async (query, message) => {
    const { status, body } = await json(`/usage_data/unique_events?${query}`)
    expect(status).toBe(400)
    expect(body.message).toMatch(message)
  })
})

describe('who may read', () => {
  test.each([
    '/usage_data/unique_events',
    '/usage_data/service_ping',
    '/usage_data/queries',
    '/usage_data/counters',
    '/status',
    '/metrics',
    '/nowhere',
  ])('%s asks for an API token', async (path) => {
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'Bearer notification-token' }]) {
      const response = await app.get(path, headers)
      expect(response.status).toBe(401)
      expect(((await response.json()) as { message: string }).message).toMatch(/^401 Unauthorized: /)
    }
  })

  test("GitLab's header does as well", async () => {
    expect((await app.get('/usage_data/service_ping', { 'private-token': 'api-token' })).status).toBe(200)
  })

  test('the metric definitions are public, as YAML', async () => {
    const response = await app.get('/usage_data/metric_definitions', {})
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^application\/yaml/)
    const definitions = parse(await response.text()) as Record<string, unknown>[]
    expect(definitions.length).toBeGreaterThan(100)
    expect(definitions.every((definition) => !('file_path' in definition))).toBe(true)
    const withPaths = parse(
      await (await app.get('/api/v4/usage_data/metric_definitions?include_paths=true', {})).text(),
    ) as typeof definitions
    expect(withPaths.map(({ file_path }) => file_path)).toContain(
      'metrics/counts/i_container_registry_push_tag_user.yml',
    )
  })

  test('what is not there is 404, for those who may know', async () => {
    expect((await json('/nowhere')).body.message).toBe('404 Not Found: there is no GET /nowhere')
  })
})

describe('the Service Ping', () => {
  test('shows what was counted, nested by key path', async () => {
    const { body } = await json('/usage_data/service_ping')
    expect(body).toMatchObject({
      recorded_at: '2026-11-23T09:00:00.000Z',
      uuid: app.app.core.installation.uuid,
      version: '0.1.0',
      redis_hll_counters: {
        user_container_registry: {
          [`${TAG}_weekly`]: 2,
          [`${TAG}_monthly`]: 2,
          [`${TAG}_calendar_month`]: 1,
          [`${REPOSITORY}_weekly`]: 1,
          user_container_registry_total_unique_counts_weekly: 3,
          i_container_registry_writes_user_weekly: 3,
        },
      },
      counts: { i_container_registry_push: 5, repositories_seen: 1 },
      counts_weekly: { i_container_registry_push: 3 },
      counts_calendar_month: { i_container_registry_push: 1 },
      database: { adapter: 'pglite' },
      sketch_store: { adapter: 'sql' },
      settings: { user_directory: 'hash', ping_destination: false },
    })
  })

  test('can show its queries, or leave SQL out', async () => {
    expect((await json('/usage_data/queries')).body).toEqual({
      recorded_at: '2026-11-23T09:00:00.000Z',
      counts: expect.objectContaining({ repositories_seen: 'select count(*) from repositories' }),
      counts_monthly: { inventory_deletions: expect.stringMatching(/from inventory\.changes/) },
    })
    const { body } = await json('/usage_data/non_sql_metrics')
    expect(body).toMatchObject({ counts: { repositories_seen: -3, i_container_registry_push: 5 } })
  })
})

describe('counting from outside', () => {
  const count = async (): Promise<Record<string, number>> => {
    const { counters } = (await json('/usage_data/counters')).body as {
      counters: { event: string; period: string; count: number }[]
    }
    return Object.fromEntries(counters.map(({ event, period, count }) => [`${event}-${period}`, count]))
  }
  const post = async (path: string, body?: unknown): Promise<unknown> => {
    const response = await app.post(`/usage_data/${path}`, body)
    return { status: response.status, ...((await response.json()) as object) }
  }
  const recorded = { status: 200, recorded: 1, skipped: {} }

  test('increment_unique_users adds the user that is named, or the caller', async () => {
    expect(await post('increment_unique_users', { event: 'deploys', user_id: 7 })).toEqual(recorded)
    expect(await post('increment_unique_users', { event: 'deploys', user_id: '7' })).toEqual(recorded)
    expect(await post('increment_unique_users', { event: 'deploys', username: 'Alice' })).toEqual(recorded)
    expect(await post('increment_unique_users?event=deploys')).toEqual(recorded)
    expect(await post('increment_unique_users?event=deploys')).toEqual(recorded)
    expect(await count()).toMatchObject({ 'deploys-2026-48': 3, 'deploys-2026-M11': 3 })
  })

  test('increment_counter adds to a total; an event that has none, or is not declared, is a skip', async () => {
    expect(await post('increment_counter', { event: 'rollbacks' })).toEqual(recorded)
    expect(await post('increment_counter', { event: 'readers' })).toEqual({
      status: 200,
      recorded: 0,
      skipped: { unknown_event: 1 },
    })
    expect(await post('increment_counter', { event: 'nonsense' })).toEqual({
      status: 200,
      recorded: 0,
      skipped: { unknown_event: 1 },
    })
  })

  test('track_event counts both', async () => {
    const event = {
      event: 'deploys',
      user_id: 8,
      project_id: 1,
      namespace_id: 2,
      additional_properties: { label: 'x' },
      send_to_snowplow: false,
    }
    expect(await post('track_event', event)).toEqual(recorded)
    expect((await count())['deploys-2026-48']).toBe(4)
  })

  test('track_events takes up to 50', async () => {
    const events = Array.from({ length: 50 }, (_, i) => ({ event: 'readers', user_id: i }))
    expect(await post('track_events', { events })).toEqual({ status: 200, recorded: 50, skipped: {} })
    expect(await post('track_events', { events: [...events, { event: 'readers' }] })).toMatchObject({
      status: 400,
      message: '400 Bad Request: Maximum 50 events allowed in one request.',
    })
    expect(await count()).toMatchObject({ 'readers-2026-48': 50 })
  })

  test.each([
    ['increment_counter', {}, /event: /],
    ['increment_unique_users', { event: '' }, /event: /],
    [
      'track_event',
      { event: 'deploys', project_id: 1, project_path: 'a/b' },
      /project_id: and project_path are mutually exclusive/,
    ],
    ['track_event', { event: 'deploys', additional_properties: 7 }, /additional_properties: /],
    ['track_events', {}, /events: is a list/],
    ['track_events', { events: [{}] }, /event: /],
  ])('%s refuses %j with 400', async (path, body, message) => {
    expect(await post(path, body)).toEqual({ status: 400, message: expect.stringMatching(message) })
  })

  test('a body that is not JSON is 400, without a token 401', async () => {
    const send = async (headers: Record<string, string>): Promise<number> =>
      (
        await fetch(`${app.url}/usage_data/track_event`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: '{',
        })
      ).status
    expect(await send({ authorization: 'Bearer api-token' })).toBe(400)
    expect(await send({})).toBe(401)
  })
})

describe('for supervisors', () => {
  test('/healthz is alive and /readyz says that the stores answer, to anybody', async () => {
    expect(await (await app.get('/healthz', {})).json()).toEqual({ status: 'alive' })
    expect(await (await app.get('/readyz', {})).json()).toEqual({
      status: 'ready',
      stores: { pglite: 'answers' },
      writes: 'work',
    })
  })

  test('/status shows stores, registries, skips, refusals and the next ping', async () => {
    await app.notify({ events: [notified({ action: 'sing' })] })
    await app.notify('nothing')
    await app.notify({ events: [] }, { authorization: 'Bearer wrong' })
    const { body } = await json('/status')
    expect(body).toMatchObject({
      version: '0.1.0',
      stores: { pglite: { ok: true } },
      registries: [
        { registry: 'registry.example', lastEventAt: '2026-11-23T00:00:00.000Z', lastReceivedAt: now().toISOString() },
      ],
      skips: { unknown_action: 1 },
      refused: { 400: 1, 401: 1 },
      ping: { enabled: true, destination: false },
      warnings: expect.arrayContaining([
        expect.stringMatching(/^api_tokens: token 1 with the scope admin has fewer than 16 characters/),
      ]),
    })
    // Jobs run by the machine's clock.
    expect((body.ping as { next: string }).next).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000Z$/)
  })
})

test('the texts of the metric definitions are made once, not for each who asks', async () => {
  let read = 0
  const metric = {
    file: 'a.yml',
    get definition() {
      read++
      return { key_path: 'a' }
    },
  }
  const server = express()
    .use(publicUsageData({ metrics: [metric as unknown as LoadedMetric] }))
    .listen(0, '127.0.0.1')
  await once(server, 'listening')
  const readBefore = read
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/usage_data/metric_definitions`
  const ask = async (query: string): Promise<unknown> => parse(await (await fetch(url + query)).text())
  expect(await ask('')).toEqual([{ key_path: 'a' }])
  expect(await ask('?include_paths=true')).toEqual([{ key_path: 'a', file_path: 'metrics/a.yml' }])
  expect(read).toBe(readBefore)
  server.closeAllConnections()
  server.close()
})

describe('an export over HTTP', () => {
  test('is read from the stores no faster than the client takes it, and ends when the client goes', async () => {
    const lines = 4_000
    let made = 0
    let closed = false
    const exportCounters = async function* (): AsyncGenerator<string> {
      try {
        for (; made < lines; made++) yield Promise.resolve('x'.repeat(64 * 1024))
      } finally {
        closed = true
      }
    }
    const errors: unknown[] = []
    const server = express()
      .use((_request, response, next) => {
        response.locals.scope = 'admin'
        next()
      })
      .use(usageData({ exportCounters } as unknown as Parameters<typeof usageData>[0]))
      .use(((error, _request, _response, next) => {
        errors.push(error)
        next()
      }) satisfies ErrorRequestHandler)
      .listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    client.write('GET /usage_data/counters/export HTTP/1.1\r\nhost: x\r\n\r\n')
    client.pause()
    let before = -1
    await eventually('it stands still', async () => {
      if (made > 0 && made === before) return true
      before = made
      await new Promise((resolve) => setTimeout(resolve, 500))
      return false
    })
    expect(made).toBeLessThan(lines)
    expect(closed).toBe(false)
    client.destroy()
    await eventually('the reading ends', async () => Promise.resolve(closed))
    expect(errors).toEqual([])
    server.closeAllConnections()
    server.close()
  })
})
