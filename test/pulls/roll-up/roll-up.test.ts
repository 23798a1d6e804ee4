import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql, type KyselyPlugin } from 'kysely'
import type { Digest } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { foldPending } from '../../../src/pulls/fold-job/fold-pending.js'
import { expireOutcomes } from '../../../src/pulls/roll-up/expire-outcomes.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import { summarizePulls } from '../../../src/pulls/roll-up/summarize.js'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryPulls, type PullsAnswer } from '../../../src/pulls/query/query-pulls.js'
import { dimension, DIMENSION_NAMES } from '../../../src/pulls/model/dimensions.js'
import { MEASURE_NAMES } from '../../../src/pulls/model/measures.js'
import type { Database } from '../../../src/storage/sql/database.js'
import { HyperLogLog } from '../../../src/storage/sketches/hyperloglog/hyperloglog.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')
const digest = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest

/** Three days of pulls, checks and layers of three repositories by twenty addresses and three clients. */
const history = (): RegistryEvent[] => {
  const events: RegistryEvent[] = []
  for (let i = 0; i < 600; i++) {
    const at = new Date(Date.parse('2026-11-18T00:00:00Z') + i * 430_000 + (i % 7) * 1_000)
    const what = i % 5
    const target =
      what === 4
        ? { object: 'blob' as const, mediaType: 'application/octet-stream', digest: digest(`b${i % 3}`), size: 1_000 }
        : {
            object: 'manifest' as const,
            mediaType: 'application/vnd.oci.image.manifest.v1+json',
            digest: digest(`a${i % 4}`),
            size: 500,
            ...(what < 3 && { tag: `1.${i % 4}` }),
          }
    events.push({
      ...anEvent({
        id: i + 1,
        action: 'pull',
        at: at.toISOString(),
        repository: ['a', 'team/b', 'team/c'][i % 3] ?? 'a',
        method: what === 0 ? 'HEAD' : 'GET',
        ...target,
      }),
      address: `192.0.2.${(i * 7) % 20}`,
      userAgent: ['containerd/1.7.0', 'docker/27.0.1 os/linux arch/arm64', 'trivy/0.60.0'][i % 3] ?? '',
    })
  }
  return events
}

/** The database of jobs, and how many statements were run on it. */
const counted = ({ jobs }: Database): Pick<Database, 'jobs'> & { statements: () => number } => {
  let statements = 0
  const count: KyselyPlugin = {
    transformQuery: ({ node }) => {
      statements++
      return node
    },
    transformResult: async ({ result }) => Promise.resolve(result),
  }
  return { jobs: jobs.withPlugin(count), statements: () => statements }
}

const HISTORY = { measures: MEASURE_NAMES.join(), period: '2026-11', limit: '10000' }

describe.each(STORE_PAIRS)('days that are over, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
    await createCounting(stores).ingest(history())
    for (const now of [NOW, new Date(NOW.getTime() + 600_000)]) {
      await foldPending({
        database: stores.database,
        windows: WINDOWS,
        lateness: 300_000_000,
        now: () => now,
        onFolded: async (_tx, { late }) =>
          late > 0 ? Promise.reject(new Error('nothing is late')) : Promise.resolve(),
      })
    }
  })
  afterAll(async () => stores.close())
  const unrolled = async (): Promise<void> => {
    await sql`delete from pulls.days`.execute(stores.database.sql)
    await sql`update pulls.registries set rolled_to = '-infinity'`.execute(stores.database.sql)
  }

  const rolled = async (): Promise<void> => rollUp({ database: stores.database, windows: WINDOWS })
  const ask = async (parameters: Record<string, string>): Promise<PullsAnswer> =>
    queryPulls(stores.database.sql, parsePullsQuery({ ...HISTORY, ...parameters }, NOW), {
      rotation: 'monthly',
      stamps: {},
    })
  const rows = async (): Promise<unknown[]> => {
    const { rows: all } = await sql<{ row: unknown }>`
      select to_jsonb(d) as row from pulls.days d union all select to_jsonb(b) from pulls.behaviours b order by 1
    `.execute(stores.database.sql)
    return all
  }
  /** By everything alone, and by the time and one thing. */
  const everything = async (names = DIMENSION_NAMES): Promise<unknown[]> => {
    const answers = []
    for (const name of names.filter((one) => one !== 'hour')) {
      for (const group_by of [name, `day,${name}`]) answers.push(await ask({ group_by }))
    }
    return answers
  }

  test.each(['before they are rolled up', 'after it'])(
    'sums over any grouping are the total %s, and invocations are pulls and checks',
    async (when) => {
      if (when === 'after it') await rolled()
      const { total } = await ask({})
      expect(total.invocations).toBe((total.pulls ?? 0) + (total.checks ?? 0))
      expect(total.pulls).toBeGreaterThan(100)
      expect(total.checks).toBeGreaterThan(50)
      for (const group_by of [...DIMENSION_NAMES, 'day,client,repository', 'weekday,kind,tag']) {
        const answer = await ask({ group_by })
        expect(answer.total).toEqual(total)
        for (const name of ['invocations', 'pulls', 'checks', 'downloads', 'manifest_gets', 'bytes'] as const)
          expect(answer.rows.reduce((sum, row) => sum + (row[name] ?? 0), 0)).toBe(total[name])
      }
    },
  )

  test('are the same when they are rolled up again', async () => {
    await rolled()
    const first = await rows()
    // Without their rows being gone: they are replaced.
    await sql`update pulls.registries set rolled_to = '-infinity'`.execute(stores.database.sql)
    await rolled()
    expect(await rows()).toEqual(first)
  })

  test('are counted once when two processes roll them up at once', async () => {
    await unrolled()
    await rolled()
    const first = await rows()
    for (let times = 0; times < 3; times++) {
      await unrolled()
      await Promise.all([rolled(), rolled()])
      expect(await rows()).toEqual(first)
    }
  })

  test('have the sketches of their detail, byte for byte', async () => {
    await rolled()
    const { rows: days } = await sql<{
      day: string
      repository: string
      client: string
      origins: Uint8Array
      members: string[] | null
    }>`
      select d.day::text, d.repository, d.client, d.origins, (
        select array_agg(distinct o.origin order by o.origin) from pulls.outcomes o
        where (o.at at time zone 'UTC')::date = d.day and o.repository = d.repository and o.client = d.client
          and o.tag is not distinct from d.tag and o.digest is not distinct from d.digest and o.platform = d.platform
          and o.what = 'invocation' and o.gets > 0
      ) as members
      from pulls.days d
    `.execute(stores.database.sql)
    expect(days.length).toBeGreaterThan(50)
    for (const { origins, members } of days) {
      const sketch = new HyperLogLog()
      for (const member of members ?? []) sketch.add(member)
      expect(Buffer.from(origins).equals(Buffer.from(sketch.toBytes()))).toBe(true)
    }
  })

  test('have the same numbers before they are rolled up, after it, and without their detail', async () => {
    await unrolled()
    const plain = DIMENSION_NAMES.filter((name) => !dimension(name).isReading)
    const before = await everything(plain)
    const hour = await ask({ hour: '2026-11-18T05:00' })
    expect(hour.total.invocations).toBeGreaterThan(0)
    await rolled()
    expect(await ask({ hour: '2026-11-18T05:00' })).toEqual(hour)
    expect((await rows()).length).toBeGreaterThan(50)
    expect(await everything(plain)).toEqual(before)
    const whole = await everything()
    await expireOutcomes(stores.database, 1, NOW)
    const { rows: left } = await sql`select from pulls.outcomes where at < '2026-11-20T00:00:00Z'`.execute(
      stores.database.sql,
    )
    expect(left).toHaveLength(0)
    expect(await everything()).toEqual(whole)
  })

  test('have all bytes of layers that are continuously fetched without a manifest, across midnight', async () => {
    await stores.clear()
    const start = Date.parse('2026-11-18T22:00:00Z')
    const layers = Array.from({ length: 42 }, (_, i) => ({
      ...anEvent({
        id: i + 1,
        action: 'pull',
        at: new Date(start + i * 1_200_000).toISOString(),
        object: 'blob',
        mediaType: 'application/octet-stream',
        digest: digest(`b${i}`),
        size: 1_000,
      }),
      address: '192.0.2.1',
    }))
    const { ingest } = createCounting(stores)
    for (const some of [layers.slice(0, 24), layers.slice(24)]) {
      await ingest(some)
      const last = (some.at(-1)?.at ?? 0) / 1_000
      for (const now of [last, last + 600_000])
        await foldPending({
          database: stores.database,
          windows: WINDOWS,
          lateness: 300_000_000,
          now: () => new Date(now),
          onFolded: async (_tx, { late }) =>
            late > 0 ? Promise.reject(new Error('nothing is late')) : Promise.resolve(),
        })
      await rolled()
    }
    expect((await ask({ measures: 'bytes,orphan_blob_sessions' })).total.bytes).toBe(42_000)
  })

  test('are only days with outcomes: one old day does not cause a step for each day since', async () => {
    await stores.clear()
    await sql`
      insert into pulls.outcomes (id, what, at, registry, repository, origin, endpoint, source, gets, client, kind)
      select at, 'invocation', at::timestamptz, 'registry.example', 'team/app', 'o', 'e', 'notification', 1, 'docker', 'runtime'
      from unnest(array['1970-01-01T00:00:00Z', '2026-11-18T00:00:00Z', '2026-11-21T00:00:00Z']) at
    `.execute(stores.database.sql)
    await sql`insert into pulls.registries (registry, folded_to) values ('registry.example', '2026-11-21T12:00:00Z')`.execute(
      stores.database.sql,
    )
    const { jobs, statements } = counted(stores.database)
    await rollUp({ database: { ...stores.database, jobs }, windows: WINDOWS })
    await summarizePulls({ jobs, engine: stores.database.engine })
    expect(statements()).toBeLessThan(500)
    const { rows: borders } = await sql`select rolled_to::text as to from pulls.registries`.execute(stores.database.sql)
    expect(borders).toEqual([{ to: '2026-11-21' }])
    expect((await ask({ period: '1970', measures: 'pulls' })).total).toEqual({ pulls: 1 })
    expect((await ask({ group_by: 'day', measures: 'pulls' })).rows).toEqual([
      { day: '2026-11-18', pulls: 1 },
      { day: '2026-11-21', pulls: 1 },
    ])
  })

  test('estimate 100,000 pullers within 2 %, from their detail and rolled up', async () => {
    await stores.clear()
    await sql`
      insert into pulls.outcomes (id, what, at, registry, repository, origin, endpoint, source, gets, client, kind)
      select n::text, 'invocation', '2026-11-18T00:00:00Z'::timestamptz + n * interval '0.5 seconds', 'registry.example',
        'team/app', md5('o' || n), md5('e' || n / 2), 'notification', 1, 'containerd', 'runtime'
      from generate_series(1, 100000) n
    `.execute(stores.database.sql)
    await sql`insert into pulls.registries (registry, folded_to) values ('registry.example', '2026-11-21T00:00:00Z')`.execute(
      stores.database.sql,
    )
    const before = await ask({})
    await rolled()
    const after = await ask({})
    expect(after.total).toEqual(before.total)
    const { unique_origins: origins = 0, unique_endpoints: endpoints = 0 } = after.total
    expect(Math.abs(origins / 100_000 - 1)).toBeLessThan(0.02)
    expect(Math.abs(endpoints / 50_000 - 1)).toBeLessThan(0.02)
  })
})
