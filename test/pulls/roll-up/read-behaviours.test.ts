import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { Digest } from '../../../src/events/reference.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { erase } from '../../../src/pulls/roll-up/erase.js'
import { foldPending } from '../../../src/pulls/fold-job/fold-pending.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryPullers } from '../../../src/pulls/query/query-pullers.js'
import { queryPulls, type PullsAnswer } from '../../../src/pulls/query/query-pulls.js'
import { queryBehaviours } from '../../../src/pulls/query/query-behaviours.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const NOW = new Date('2026-03-13T12:00:00Z')
type Vector = { id: string; requests: { t: string; method: 'GET' | 'HEAD'; path: string }[] }
const { vectors } = JSON.parse(readFileSync(new URL('../../fixtures/pull-vectors.json', import.meta.url), 'utf8')) as {
  vectors: Vector[]
}

describe.each(STORE_PAIRS)('the behaviour of origins, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  /** Rolls up all days before a day. */
  const rolledTo = async (day: string): Promise<void> => {
    await sql`
      insert into pulls.registries (registry, folded_to) values ('registry.example', ${`${day}T06:00:00Z`})
      on conflict (registry) do update set folded_to = excluded.folded_to
    `.execute(stores.database.sql)
    await rollUp({ database: stores.database, windows: WINDOWS })
  }
  const ask = async (group_by: string, others: Record<string, string> = {}, now = NOW): Promise<PullsAnswer> =>
    queryPulls(
      stores.database.sql,
      parsePullsQuery({ measures: 'invocations', period: '2026-03', group_by, ...others }, now),
      {
        rotation: 'never',
        stamps: {},
      },
    )
  type Invocations = { origin?: string; client?: string; kind?: string; network?: string; at: string[] }
  const keep = async ({ origin = 'o', client = 'curl', kind = 'cli', network, at }: Invocations): Promise<void> => {
    await sql`
      insert into pulls.outcomes (id, what, at, registry, repository, tag, origin, endpoint, source, gets, client, kind, network_kind)
      select ${origin} || at, 'invocation', at::timestamptz, 'registry.example', 'a', '1', ${origin}, 'e', 'notification', 1,
        ${client}, ${kind}, ${network ?? null}
      from unnest(${at}::text[]) at
    `.execute(stores.database.sql)
  }
  const IRREGULAR = ['00:00', '00:01', '03:00', '03:02', '17:00', '17:03']
  const on = (day: string, times: readonly string[]): string[] => times.map((time) => `${day}T${time}:00Z`)
  const HOURLY = Array.from({ length: 8 }, (_, i) => `0${i}:00`)

  test.each([
    ['talk/regular', [{ behaviour: 'regular_poller', likely: 'deployment', invocations: 5 }]],
    [
      'talk/irregular',
      [
        { behaviour: 'insufficient', likely: 'unknown', invocations: 4 },
        { behaviour: 'irregular', likely: 'local-development', invocations: 3 },
      ],
    ],
  ])('%s has its behaviour, read for each day from the week that ends with it', async (id, expected) => {
    const { requests = [] } = vectors.find((one) => one.id === id) ?? {}
    await createCounting(stores).ingest(
      requests.map(({ t, method, path }, i) => {
        const [, repository = '', tag = ''] = /^\/v2\/(.+)\/manifests\/(.+)$/.exec(path) ?? []
        const manifest = { object: 'manifest' as const, mediaType: 'application/vnd.oci.image.index.v1+json', size: 1 }
        const digest = `sha256:${tag.replace(/\W/g, '').padStart(64, '0')}` as Digest
        return {
          ...anEvent({ id: i + 1, action: 'pull', at: t, repository, tag, digest, method, ...manifest }),
          address: '192.0.2.1',
        }
      }),
    )
    for (const seconds of [0, 600]) {
      await foldPending({
        database: stores.database,
        windows: WINDOWS,
        lateness: 300_000_000,
        now: () => new Date(NOW.getTime() + seconds * 1_000),
        onFolded: async (_tx, { late }) =>
          late > 0 ? Promise.reject(new Error('nothing is late')) : Promise.resolve(),
      })
    }
    await rolledTo('2026-03-13')
    const { rows, notes } = await ask('behaviour,likely')
    expect(rows).toEqual(expected)
    expect(notes).toEqual([
      expect.stringMatching(/^The behaviour of an origin is read for each UTC day/),
      expect.stringMatching(/^The value of likely is inferred .*: pulls behaviour shows the evidence\.$/),
    ])
  })

  test('is the newest reading on days that are not rolled up, and insufficient for an origin without one', async () => {
    await keep({ origin: 'poller', at: [...on('2026-03-06', HOURLY), ...on('2026-03-12', HOURLY.slice(0, 2))] })
    await keep({ origin: 'new', at: on('2026-03-12', IRREGULAR) })
    await rolledTo('2026-03-01')
    expect((await ask('behaviour')).rows).toEqual([{ behaviour: 'insufficient', invocations: 16 }])
    await rolledTo('2026-03-12')
    expect((await ask('behaviour')).rows).toEqual([
      { behaviour: 'regular_poller', invocations: 10 },
      { behaviour: 'insufficient', invocations: 6 },
    ])
    // Its readings are older than a week by then.
    await keep({ origin: 'other', at: ['2026-03-14T00:00:00Z'] })
    await rolledTo('2026-03-21')
    await keep({ origin: 'poller', at: ['2026-03-22T00:00:00Z'] })
    const then = new Date('2026-03-22T12:00:00Z')
    expect((await ask('behaviour', { period: '2026-03-22' }, then)).rows).toMatchObject([
      { behaviour: 'insufficient', invocations: 1 },
    ])
  })

  test('is the same by hours and in other time zones, of a filter and of pullers', async () => {
    await keep({ origin: 'poller', at: on('2026-03-10', HOURLY) })
    await keep({ origin: 'person', at: on('2026-03-10', IRREGULAR) })
    await rolledTo('2026-03-12')
    const { rows } = await ask('behaviour')
    expect(rows).toEqual([
      { behaviour: 'regular_poller', invocations: 8 },
      { behaviour: 'irregular', invocations: 6 },
    ])
    expect((await ask('behaviour', { tz: 'Africa/Abidjan' })).rows).toEqual(rows)
    const hours = await ask('hour', { behaviour: 'irregular' })
    expect(hours.rows).toHaveLength(3)
    expect(hours.total).toEqual({ invocations: 6 })
    const query = parsePullsQuery({ period: '2026-03', behaviour: 'irregular' }, NOW)
    expect(await queryPullers(stores.database.sql, query, 10, { rotation: 'never', stamps: {} })).toMatchObject({
      pulls: 6,
      top: [{ origin: 'person' }],
    })
  })

  test.each([
    ['cloud', 'curl', 'cli', 'ci'],
    ['hosting', 'buildkit', 'builder', 'ci'],
    ['cloud', 'docker', 'runtime', 'ci'],
    ['hosting', 'podman', 'runtime', 'ci'],
    ['cloud', 'containerd', 'runtime', 'unknown'],
    ['isp', 'curl', 'cli', 'unknown'],
    [undefined, 'curl', 'cli', 'unknown'],
  ])('irregularly from network kind %s by %s (%s) is likely %s', async (network, client, kind, likely) => {
    await keep({ at: on('2026-03-12', IRREGULAR), client, kind, ...(network !== undefined && { network }) })
    const look = { now: NOW, days: 7, limit: 10 }
    expect((await queryBehaviours(stores.database.sql, look, {})).items).toMatchObject([
      { pattern: 'irregular', likely },
    ])
    await rolledTo('2026-03-14')
    expect((await ask('likely')).rows).toEqual([{ likely, invocations: 6 }])
  })

  test('is erased with its origin and its repository', async () => {
    for (const erasure of [{ origin: 'o' }, { repository: 'a' }]) {
      await stores.clear()
      await keep({ at: on('2026-03-10', HOURLY) })
      await rolledTo('2026-03-12')
      const { rows: before } = await sql`select from pulls.behaviours`.execute(stores.database.sql)
      expect(before).toHaveLength(1)
      await erase(stores.database, erasure)
      const { rows: after } = await sql`select from pulls.behaviours`.execute(stores.database.sql)
      expect(after).toHaveLength(0)
    }
  })
})
