import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql, type QueryResult } from 'kysely'
import type { Digest, Tag } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { foldPending } from '../../../src/pulls/fold-job/fold-pending.js'
import { pullTotals } from '../../../src/pulls/query/pull-totals.js'
import { requestsAfter } from '../../../src/pulls/query/requests-after.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { runs, runsOn } from '../../servers/runs.js'
import { seenBy, StatementEnded } from '../../servers/seen-statements.js'
import { createStepSizes } from '../../../src/storage/sql/step-sizes.js'
import type { Database } from '../../../src/storage/sql/database.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const SECOND = 1_000_000
const LATENESS = 300 * SECOND
const START = Date.parse('2026-11-18T23:50:00Z')

const digest = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest
const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'

/** Within the window in which order does not matter, across a midnight. */
const asked = fc.record({
  second: fc.integer({ min: 0, max: 1_200 }),
  method: fc.constantFrom('GET', 'GET', 'HEAD'),
  what: fc.constantFrom('tag', 'index', 'image', 'image', 'blob'),
  repository: fc.constantFrom('a', 'team/b'),
  userAgent: fc.constantFrom('containerd/1.7.0', 'cri-o/1.34.0 os/linux arch/amd64'),
  request: fc.integer({ min: 1, max: 40 }),
})

const history = fc.array(asked, { minLength: 1, maxLength: 30 }).map((all) =>
  all.map(({ second, method, what, repository, userAgent, request }, i): RegistryEvent => {
    const manifest = {
      object: 'manifest' as const,
      mediaType: what === 'image' ? IMAGE : INDEX,
      digest: digest(what === 'image' ? 'a1' : 'a3'),
      ...(what === 'tag' && { tag: 'latest' }),
    }
    const blob = { object: 'blob' as const, mediaType: 'application/octet-stream', digest: digest('b1'), size: 10 }
    return {
      ...anEvent({
        id: i + 1,
        action: 'pull',
        at: new Date(START + second * 1_000).toISOString(),
        repository,
        method,
        ...(what === 'blob' ? blob : manifest),
      }),
      address: '192.0.2.1',
      userAgent,
      requestId: `r${request}`,
    }
  }),
)

/** A HEAD or GET of a tag, so many seconds after the start. */
const ask = (id: number, second: number, method: 'HEAD' | 'GET' = 'GET'): RegistryEvent => ({
  ...anEvent({
    id,
    action: 'pull',
    at: new Date(START + second * 1_000).toISOString(),
    repository: 'a',
    method,
    object: 'manifest',
    mediaType: IMAGE,
    digest: digest('a1'),
    tag: 'latest',
  }),
  address: '192.0.2.1',
})

describe.each(STORE_PAIRS)('the fold on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  let late = 0
  let beforePush = 0
  let joins = { joined: 0, joinedLate: 0 }
  const fold = async (now: number, atOnce?: number): Promise<void> =>
    foldPending({
      database: stores.database,
      windows: WINDOWS,
      lateness: LATENESS,
      now: () => new Date(now),
      onFolded: async (_tx, folded) => {
        late += folded.late
        beforePush += folded.beforePush
        joins.joined += folded.joined
        joins.joinedLate += folded.joinedLate
        return Promise.resolve()
      },
      // Each batch in a transaction of its own, or all in one; with all contents of manifests in memory, or as few as possible.
      ...(atOnce !== undefined && {
        sizes: {
          batch: atOnce,
          requests: atOnce % 2 === 0 ? atOnce : 1_000,
          chains: 1_000,
          entries: atOnce % 3 === 0 ? 0 : 1_000,
        },
      }),
    })
  const outcomes = async (): Promise<unknown[]> => {
    const { rows } = await sql<{ row: unknown }>`
      select to_jsonb(o) as row from pulls.outcomes o order by id
    `.execute(stores.database.sql)
    return rows.map(({ row }) => row)
  }
  /** A time at which all requests can be folded. */
  const finish = async (): Promise<void> => {
    await fold(START + 3_600_000)
    await fold(START + 7_200_000)
  }

  test('stores open outcomes, and updates them when they continue', async () => {
    await stores.clear()
    const { ingest } = createCounting(stores)
    await ingest([ask(1, 0, 'HEAD')])
    await fold(START + 1_000)
    // If a registry reports no newer request for the lateness, all its requests are folded.
    expect(await outcomes()).toHaveLength(0)
    await fold(START + 302_000)
    expect(await outcomes()).toMatchObject([{ what: 'invocation', gets: 0, tag: 'latest' }])
    expect(await pullTotals(stores.database.sql)).toMatchObject([{ repository: 'a', invocations: 1, pulls: 0 }])
    await ingest([ask(2, 30)])
    await fold(START + 303_000)
    await fold(START + 700_000)
    expect(await outcomes()).toMatchObject([{ what: 'invocation', gets: 1, tag: 'latest' }])
    expect(await pullTotals(stores.database.sql)).toMatchObject([{ repository: 'a', invocations: 1, pulls: 1 }])
  })

  test('takes no further batch in a transaction once the contents of manifests fill its memory', async () => {
    await stores.clear()
    const { ingest } = createCounting(stores)
    const references = [{ digest: digest('c1') }, { digest: digest('b1') }]
    const push = { action: 'push', at: new Date(START).toISOString(), repository: 'a', mediaType: IMAGE } as const
    await ingest([{ ...anEvent({ id: 99, ...push, object: 'manifest', digest: digest('a1') }), references }])
    await ingest(Array.from({ length: 8 }, (_one, i) => ask(i + 1, i * 200)))
    let transactions = 0
    const foldWith = async (entries: number, now: number): Promise<void> =>
      foldPending({
        ...{ database: stores.database, windows: WINDOWS, lateness: LATENESS, now: () => new Date(now) },
        onFolded: async () => {
          transactions++
          return Promise.resolve()
        },
        sizes: { batch: 1, requests: 1_000, chains: 1_000, entries },
      })
    await foldWith(2, START + 3_600_000)
    await foldWith(2, START + 7_200_000)
    expect(transactions).toBeGreaterThanOrEqual(4)
    expect(await outcomes()).toHaveLength(8)
  })

  test('is the same if large steps are cancelled: they are repeated with fewer requests, also by the next run', async () => {
    const stepSizes = createStepSizes()
    const attempts: number[] = []
    const endLarge = async (
      execute: () => Promise<QueryResult<unknown>>,
      text: string,
      parameters: readonly unknown[],
    ) => {
      if (!text.includes('delete from pulls.pending')) return execute()
      const size = Number(parameters.find((one) => typeof one === 'number')) + 1
      attempts.push(size)
      if (size > 5) throw new StatementEnded()
      return execute()
    }
    const { database } = stores
    const failing: Database = {
      ...database,
      jobTransaction: async (work) =>
        database.jobTransaction(async (tx) => {
          const executor = seenBy(tx.getExecutor(), endLarge)
          return work({ ...tx, getExecutor: () => executor })
        }),
    }
    const foldWith = async (from: Database, now: number): Promise<void> =>
      foldPending({
        ...{ database: from, windows: WINDOWS, lateness: LATENESS, now: () => new Date(now), stepSizes },
        onFolded: async () => Promise.resolve(),
        sizes: { batch: 32, requests: 64, chains: 1_000, entries: 1_000 },
      })
    const foldAll = async (from: Database): Promise<unknown[]> => {
      await stores.clear()
      await createCounting(stores).ingest(Array.from({ length: 40 }, (_one, i) => ask(i + 1, i * 25)))
      for (const hour of [1, 2]) await foldWith(from, START + hour * 3_600_000)
      return outcomes()
    }
    const expected = await foldAll(database)
    expect(attempts).toEqual([])
    expect(expected.length).toBeGreaterThan(5)
    expect(await foldAll(failing)).toEqual(expected)
    // Two batches of four in each transaction.
    expect(attempts[0]).toBe(32)
    expect(new Set(attempts.slice(1))).toEqual(new Set([4]))
    attempts.length = 0
    expect(await foldAll(failing)).toEqual(expected)
    expect(attempts[0]).toBe(4)
  })

  test('removes the previous name of an origin when a request is folded', async () => {
    await stores.clear()
    const { ingest } = createCounting(stores)
    await ingest([ask(1, 0)])
    await sql`
      update pulls.pending set request = jsonb_set(request::jsonb, '{previous}', '"november"')::text
    `.execute(stores.database.sql)
    await finish()
    expect(await requestsAfter(stores.database.sql, 0, 10)).toMatchObject([{ method: 'GET', tag: 'latest' }])
    const { rows } = await sql<{ request: string }>`select request from pulls.requests`.execute(stores.database.sql)
    expect(rows.map(({ request }) => request).join()).not.toContain('november')
  })

  test('reports how many requests joined others, and how many of them late', async () => {
    await stores.clear()
    const { ingest } = createCounting(stores)
    // A GET after half the window, one after more, and one that begins another pull.
    await ingest([ask(1, 0, 'HEAD'), ask(2, 30), ask(3, 100, 'HEAD'), ask(4, 131), ask(5, 300)])
    joins = { joined: 0, joinedLate: 0 }
    await finish()
    expect(joins).toEqual({ joined: 2, joinedLate: 1 })
  })

  test('counts requests that arrive too late, and does not fold them', async () => {
    await stores.clear()
    late = 0
    const { ingest } = createCounting(stores)
    await ingest([ask(1, 1_000)])
    await fold(START + 1_000_000)
    await fold(START + 1_400_000)
    expect(await outcomes()).toHaveLength(1)
    await ingest([ask(2, 990)])
    await fold(START + 1_401_000)
    expect(await outcomes()).toHaveLength(1)
    expect(late).toBe(1)
    const [first, second] = await requestsAfter(stores.database.sql, 0, 10)
    expect([first?.is_late, second?.is_late]).toEqual([false, true])
    expect(first).toMatchObject({ at: '2026-11-19T00:06:40.000000Z', method: 'GET', tag: 'latest', client: 'none' })
    expect(await requestsAfter(stores.database.sql, first?.cursor ?? 0, 10)).toEqual([second])
  })

  test('folds an hour that a registry delivered later, in its order', async () => {
    await stores.clear()
    late = 0
    const { ingest } = createCounting(stores)
    await ingest([ask(1, 0)])
    await fold(START)
    await fold(START + 400_000)
    for (let i = 1; i <= 10; i++) {
      await ingest([ask(i + 1, i * 360)])
      await fold(START + 3_700_000 + i * 1_000)
    }
    await fold(START + 4_100_000)
    expect(await outcomes()).toHaveLength(11)
    expect(late).toBe(0)
  })

  /** An index, an image that it lists, and a layer of the image: some histories request all three. */
  const pushes: RegistryEvent[] = [
    { name: 'a3', mediaType: INDEX, lists: 'a1' },
    { name: 'a1', mediaType: IMAGE, lists: 'b1' },
  ].map(({ name, mediaType, lists }, i) => {
    const at = new Date(START - 86_400_000).toISOString()
    const push = { id: 2_000 + i, action: 'push', at, repository: 'a', object: 'manifest', mediaType } as const
    return { ...anEvent({ ...push, digest: digest(name) }), references: [{ digest: digest(lists) }] }
  })

  test('is the same in any order within the window, and in any split', async () => {
    const deliveries = history.chain((events) =>
      fc.record({
        events: fc.constant(events),
        known: fc.subarray(pushes),
        order: fc.shuffledSubarray([...events, ...events.slice(0, 3)], { minLength: events.length }),
        atOnce: fc.integer({ min: 1, max: 8 }),
        folds: fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
        delays: fc.array(fc.integer({ min: 0, max: LATENESS - 1 }), { minLength: 30, maxLength: 30 }),
      }),
    )
    await fc.assert(
      fc.asyncProperty(deliveries, async ({ events, known, order, atOnce, folds, delays }) => {
        await stores.clear()
        await createCounting(stores).ingest([...known, ...events])
        late = 0
        await finish()
        const expected = await outcomes()

        // Each request is as late as allowed, and the fold runs soon after it.
        await stores.clear()
        const delayed = createCounting(stores)
        await delayed.ingest(known)
        const arrivals = events.map((event, i) => ({ event, at: event.at + (delays[i] ?? 0) }))
        for (const [i, { event, at }] of arrivals.sort((a, b) => a.at - b.at).entries()) {
          await delayed.ingest([event])
          if (folds[i] === true) await fold(at / 1_000, atOnce)
        }
        await finish()
        expect(await outcomes()).toEqual(expected)

        await stores.clear()
        const shuffled = createCounting(stores)
        for (const event of [...known, ...order, ...events]) await shuffled.ingest([event])
        await fold(START + 3_600_000, atOnce)
        await finish()
        expect(await outcomes()).toEqual(expected)
        expect(late).toBe(0)
      }),
      runsOn(stores.database, { postgresql: 15, pglite: 6 }),
    )
  })

  /** HEADs of a tag of its own each; most are followed by a push, and some by the GET of an image. */
  const build = fc.record({
    second: fc.integer({ min: 0, max: 1_000 }),
    gap: fc.integer({ min: 0, max: 100 }),
    after: fc.constantFrom('push', 'push', 'get and push', 'push by another', 'nothing'),
  })
  const builds = fc.array(build, { minLength: 1, maxLength: 8 }).map((all) =>
    all.flatMap(({ second, gap, after }, i): RegistryEvent[] => {
      const of = (id: number, later: number, method: 'HEAD' | 'GET' = 'HEAD'): RegistryEvent => {
        const asked = { ...ask(1_000 + 10 * i + id, second + later, method), userAgent: 'buildkit/v0.12' }
        if (method === 'GET') delete asked.tag
        else asked.tag = `build-${i}` as Tag
        return { ...asked, digest: digest(`b${i}`) }
      }
      const push = { ...of(3, gap), action: 'push' as const, method: 'PUT', digest: digest(`d${i}`) }
      return [
        of(1, 0),
        ...(after === 'get and push' ? [of(2, gap / 2, 'GET')] : []),
        ...(after === 'nothing' ? [] : [after === 'push by another' ? { ...push, address: '192.0.2.2' } : push]),
      ]
    }),
  )

  test('counts no HEAD that is part of a push, whatever the order and the split, if the push comes before the fold', async () => {
    const deliveries = builds.chain((events) =>
      fc.record({
        events: fc.constant(events),
        order: fc.shuffledSubarray(events, { minLength: events.length }),
        atOnce: fc.integer({ min: 1, max: 8 }),
        folds: fc.array(fc.boolean(), { minLength: 24, maxLength: 24 }),
        // A push 100 s after its HEAD arrives before the HEAD is folded.
        delays: fc.array(fc.integer({ min: 0, max: LATENESS - 100 * SECOND - 1 }), { minLength: 24, maxLength: 24 }),
      }),
    )
    await fc.assert(
      fc.asyncProperty(deliveries, async ({ events, order, atOnce, folds, delays }) => {
        await stores.clear()
        await createCounting(stores).ingest(events)
        beforePush = 0
        await finish()
        const expected = await outcomes()
        const expectedBeforePush = beforePush
        const isPartOfPush = ({ method, tag, digest: asked }: RegistryEvent): boolean =>
          method === 'HEAD' &&
          events.some((one) => one.action === 'push' && one.tag === tag && one.address === '192.0.2.1') &&
          !events.some((one) => one.method === 'GET' && one.digest === asked)
        expect(expectedBeforePush).toBe(events.filter(isPartOfPush).length)
        expect(expected).toHaveLength(events.filter((one) => one.method === 'HEAD' && !isPartOfPush(one)).length)

        await stores.clear()
        beforePush = 0
        const delayed = createCounting(stores)
        const arrivals = events.map((event, i) => ({ event, at: event.at + (delays[i] ?? 0) }))
        for (const [i, { event, at }] of arrivals.sort((a, b) => a.at - b.at).entries()) {
          await delayed.ingest([event])
          if (folds[i] === true) await fold(at / 1_000, atOnce)
        }
        await finish()
        expect(await outcomes()).toEqual(expected)
        expect(beforePush).toBe(expectedBeforePush)

        await stores.clear()
        const shuffled = createCounting(stores)
        for (const event of [...order, ...events.slice(0, 3)]) await shuffled.ingest([event])
        await fold(START + 3_600_000, atOnce)
        await finish()
        expect(await outcomes()).toEqual(expected)
      }),
      runs(8),
    )
  })

  test('stores the last use of each tag and digest by kind of client, also from requests that arrive too late', async () => {
    await stores.clear()
    const { ingest } = createCounting(stores)
    const agent = (event: RegistryEvent, userAgent: string): RegistryEvent => ({ ...event, userAgent })
    await ingest([agent(ask(1, 1_000), 'containerd/1.7.0'), agent(ask(2, 990, 'HEAD'), 'trivy/0.50.1')])
    await fold(START + 1_000_000)
    await fold(START + 1_400_000)
    await ingest([agent(ask(3, 995), 'trivy/0.50.1'), agent(ask(4, 900), 'crane/0.20')])
    await fold(START + 1_401_000)
    const { rows } = await sql`
      select reference, kind, used_at, pulled_at from pulls.last_uses where reference = 'latest' order by kind
    `.execute(stores.database.sql)
    const at = (second: number): Date => new Date(START + second * 1_000)
    expect(rows).toEqual([
      { reference: 'latest', kind: 'cli', used_at: at(900), pulled_at: at(900) },
      { reference: 'latest', kind: 'runtime', used_at: at(1_000), pulled_at: at(1_000) },
      { reference: 'latest', kind: 'scanner', used_at: at(995), pulled_at: at(995) },
    ])
  })
})
