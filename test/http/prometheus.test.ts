import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createPrometheus } from '../../src/http/prometheus.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { NOTIFICATION_TOKEN } from '../servers/service.js'

describe('GET /metrics', () => {
  let app: TestApp
  let clock = Date.parse('2026-11-23T09:00:00Z')
  beforeAll(async () => {
    app = await openApp({}, () => new Date(clock))
  })
  afterAll(async () => app.close())

  /** The value of each series, as `name{label="value"}`. */
  const series = async (): Promise<Record<string, number>> => {
    const lines = (await (await app.get('/metrics')).text()).split('\n').filter((line) => /^\w/.test(line))
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
    )
  }

  test('says before the first event and the first ping that there was none', async () => {
    expect(await series()).toMatchObject({ tallyman_last_event_timestamp_seconds: 0, tallyman_ping_age_seconds: NaN })
  })

  test('does not take an empty notification for an event', async () => {
    expect((await app.notify({ events: [] })).status).toBe(200)
    expect(await series()).toMatchObject({ tallyman_last_event_timestamp_seconds: 0 })
  })

  test('has one answer for requests at the same time', async () => {
    let reads = 0
    const never = async (): Promise<undefined> => Promise.resolve(undefined)
    const { exposition, droppedConnection } = createPrometheus({
      pingAge: async () => {
        reads++
        return never()
      },
      pullTotals: async () => Promise.resolve([]),
      registryConflicts: async () => Promise.resolve(0),
      droppedLogLines: () => 3,
      inventoryUnknown: never,
    })
    droppedConnection('idle')
    const [first, second] = await Promise.all([exposition(), exposition()])
    expect(reads).toBe(1)
    expect(second).toEqual(first)
    expect((await exposition()).text).toContain('tallyman_dropped_connections_total{reason="idle"} 1')
    expect((await exposition()).text).toContain('tallyman_dropped_log_lines_total 3')
    expect(reads).toBe(3)
  })

  test('counts events by action and outcome, refused notifications by status, and batches by size', async () => {
    const timestamp = new Date(clock).toISOString()
    const push = notified({ timestamp })
    await app.notify({ events: [push, notified({ timestamp }), notified({ timestamp, action: 'pull' })] })
    await app.notify({ events: [push, notified({ timestamp, action: 'sing' })] })
    await app.notify('nothing')
    await app.notify({ events: [] }, { authorization: 'Bearer wrong' })
    expect(await series()).toMatchObject({
      'tallyman_events_total{action="push",outcome="recorded"}': 2,
      'tallyman_events_total{action="push",outcome="repeated"}': 1,
      'tallyman_events_total{action="pull",outcome="recorded"}': 1,
      'tallyman_events_total{action="unreadable",outcome="unknown_action"}': 1,
      'tallyman_refused_requests_total{status="400"}': 1,
      'tallyman_refused_requests_total{status="401"}': 1,
      tallyman_last_event_timestamp_seconds: clock / 1000,
      'tallyman_batch_size_bucket{le="2"}': 1,
      'tallyman_batch_size_bucket{le="5"}': 2,
      tallyman_batch_size_sum: 5,
      tallyman_batch_size_count: 2,
      tallyman_batch_seconds_count: 2,
    })
  })

  test('has the time of operations of each store', async () => {
    await app.get('/usage_data/counters')
    const found = await series()
    for (const [store, operation] of [
      ['pglite', 'transaction'],
      ['sql', 'add'],
      ['sql', 'count'],
    ]) {
      const labels = `store="${store ?? ''}",operation="${operation ?? ''}"`
      expect(found[`tallyman_store_seconds_count{${labels}}`]).toBeGreaterThan(0)
      expect(found[`tallyman_store_seconds_sum{${labels}}`]).toBeGreaterThan(0)
    }
  })

  test('has the age of the newest Service Ping', async () => {
    await app.post('/usage_data/service_ping')
    clock += 90_000
    expect(await series()).toMatchObject({ tallyman_ping_age_seconds: 90 })
  })

  test('is for those who have an API token, in the text format', async () => {
    const statuses = []
    for (const authorization of ['', 'Bearer wrong', `Bearer ${NOTIFICATION_TOKEN}`]) {
      statuses.push((await app.get('/metrics', { authorization })).status)
    }
    expect(statuses).toEqual([401, 401, 401])
    const response = await app.get('/metrics')
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(await response.text()).toMatch(/^process_cpu_seconds_total /m)
  })

  test('is for everybody where the configuration says so, and opens nothing else', async () => {
    const open = await openApp({ TALLYMAN_METRICS_PUBLIC: 'true' })
    expect((await open.get('/metrics', {})).status).toBe(200)
    expect((await open.get('/status', {})).status).toBe(401)
    await open.close()
  })
})
