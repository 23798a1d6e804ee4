import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { MetricDefinition } from '../../src/metrics/definition.js'
import { countPulls } from '../../src/pulls/query/count-pulls.js'
import { createKinds } from '../../src/metrics/kinds.js'
import { buildPing, type ServicePing } from '../../src/ping/payload.js'
import { LIFETIMES } from '../servers/counting.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const now = (): Date => new Date('2026-11-23T09:00:00Z')
const definition = (key_path: string, fields: Partial<MetricDefinition>): MetricDefinition => ({
  key_path,
  description: 'd',
  value_type: 'number',
  status: 'active',
  time_frame: 'none',
  data_source: 'system',
  data_category: 'optional',
  milestone: '0.1',
  options: {},
  ...fields,
})
const sketch = (event: string, time_frame: MetricDefinition['time_frame'] = '7d'): MetricDefinition =>
  definition(`hll.${event}_${time_frame}`, { data_source: 'redis_hll', time_frame, options: { events: [event] } })

describe.each(STORE_PAIRS)('metrics are evaluated on %s', (_, open) => {
  let stores: TestStores
  let asked: number
  beforeAll(async () => {
    stores = await open()
    await stores.database.transaction(async (tx) =>
      stores.sketches.add(
        [{ key: '{hll_counters}_pushers-2026-47', members: new Set(['a', 'b']), seconds: LIFETIMES.weekly }],
        tx,
      ),
    )
    await stores.spoil('{hll_counters}_spoilt-2026-47')
    await sql`insert into tallies values ('pushes', '2026-11-16', 3), ('pushes', '2026-11-23', 4), ('pushes', '2026-01-01', 10)`.execute(
      stores.database.sql,
    )
  })
  afterAll(async () => stores.close())

  const ping = async (
    definitions: MetricDefinition[],
    categories = ['standard', 'optional'] as const,
  ): Promise<ServicePing> => {
    asked = 0
    const sketches = {
      ...stores.sketches,
      count: async (unions: readonly (readonly string[])[]) => {
        asked++
        return stores.sketches.count(unions)
      },
    }
    const kinds = createKinds({
      database: stores.database,
      sketches,
      countPulls: async (wanted) => countPulls(stores.database.sql, wanted),
      now,
      systemValues: {
        answer: () => 42,
        failing: () => {
          throw new TypeError('cannot know')
        },
        away: async () =>
          Promise.reject(Object.assign(new Error('connect ECONNREFUSED 10.1.2.3:5432'), { code: 'ECONNREFUSED' })),
      },
      settingValues: { colour: () => 'blue' },
    })
    return buildPing({ definitions, kinds, uuid: 'u', categories: new Set(categories), now })
  }

  test('a metric that fails is -1 and named with its error; it harms nothing else', async () => {
    const { payload, metadata } = await ping([
      sketch('pushers'),
      sketch('spoilt'),
      sketch('nobody'),
      definition('answer', { options: { value: 'answer' } }),
      definition('failing', { options: { value: 'failing' } }),
      definition('away', { options: { value: 'away' } }),
      definition('settings.colour', { data_source: 'setting', options: { value: 'colour' } }),
      definition('counts.broken', { data_source: 'database', options: { query: 'no_such_query' } }),
      definition('counts.repositories', { data_source: 'database', options: { query: 'repositories_seen' } }),
    ])
    expect(payload).toEqual({
      recorded_at: '2026-11-23T09:00:00.000Z',
      hll: { pushers_7d: 2, spoilt_7d: -1, nobody_7d: 0 },
      answer: 42,
      failing: -1,
      away: -1,
      settings: { colour: 'blue' },
      counts: { broken: -1, repositories: 0 },
    })
    const errors = Object.fromEntries(
      metadata.metrics.filter(({ error }) => error !== undefined).map(({ name, error }) => [name, error]),
    )
    expect(Object.keys(errors).sort()).toEqual(['away', 'counts.broken', 'failing', 'hll.spoilt_7d'])
    expect(errors).toMatchObject({ failing: 'cannot know', away: 'the store does not answer' })
    expect(JSON.stringify(metadata)).not.toContain('10.1.2.3')
    expect(metadata.metrics.every(({ time_elapsed }) => time_elapsed >= 0)).toBe(true)
  })

  test('totals are summed over the same complete periods', async () => {
    const total = (time_frame: MetricDefinition['time_frame']): MetricDefinition =>
      definition(`pushes_${time_frame}`, { data_source: 'redis', time_frame, options: { event: 'pushes' } })
    const { payload } = await ping([total('7d'), total('28d'), total('month'), total('all')])
    expect(payload).toMatchObject({ pushes_7d: 3, pushes_28d: 3, pushes_month: 0, pushes_all: 17 })
  })

  test('pulls are counted over the same periods, in all and by kind of client', async () => {
    await sql`
      insert into pulls.outcomes (id, what, at, registry, repository, origin, endpoint, source, gets, client, kind)
      select n::text, 'invocation', '2026-11-09T00:00:00Z'::timestamptz + n * interval '1 day', 'registry.example', 'a',
        'origin' || n % 2, 'endpoint', 'notification', 1, 'client', case n % 3 when 0 then 'scanner' else 'runtime' end
      from generate_series(-30, 20) n
    `.execute(stores.database.sql)
    await sql`insert into pulls.registries (registry) values ('registry.example')`.execute(stores.database.sql)
    const pulls = (time_frame: MetricDefinition['time_frame'], options: object): MetricDefinition =>
      definition(`${time_frame}_${Object.values(options).join('_')}`, {
        data_source: 'pulls',
        time_frame,
        options: { ...options },
      })
    const { payload } = await ping([
      pulls('7d', { measure: 'pulls' }),
      pulls('28d', { measure: 'pulls' }),
      pulls('7d', { measure: 'unique_origins' }),
      pulls('7d', { measure: 'pulls', by: 'kind' }),
    ])
    // The week from Monday, the 16th, to Sunday, the 22nd.
    expect(payload).toMatchObject({
      '7d_pulls': 7,
      '28d_pulls': 28,
      '7d_unique_origins': 2,
      '7d_pulls_kind': { runtime: 5, scanner: 2 },
    })
  })

  test('a thousand sketches are one question', async () => {
    const { payload } = await ping(
      Array.from({ length: 1_000 }, (_, i) =>
        definition(`m.n${i}`, { ...sketch(i === 7 ? 'pushers' : `e${i}`), key_path: `m.n${i}` }),
      ),
    )
    expect((payload.m as Record<string, number>).n7).toBe(2)
    expect(asked).toBe(1)
  })

  test('removed metrics and categories that are not permitted are left out', async () => {
    const { payload } = await ping(
      [
        definition('a', { status: 'removed', options: { value: 'answer' } }),
        definition('b', { data_category: 'operational', options: { value: 'answer' } }),
        definition('c', { data_category: 'standard', options: { value: 'answer' } }),
      ],
      ['standard', 'optional'],
    )
    expect(payload).toEqual({ recorded_at: expect.any(String), c: 42 })
  })

  test('a key path may hold any name', async () => {
    const { payload } = await ping([definition('constructor.prototype', { options: { value: 'answer' } })])
    expect(JSON.parse(JSON.stringify(payload))).toMatchObject({ constructor: { prototype: 42 } })
  })
})
