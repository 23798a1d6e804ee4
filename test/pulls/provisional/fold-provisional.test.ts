import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { isoTime } from '../../../src/events/calendar.js'
import type { Digest, RepositoryPath } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { requestOf } from '../../../src/events/registry-request.js'
import { measuresOf } from '../../support/outcome-measures.js'
import { inOrder } from '../../../src/pulls/fold/order.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { erase } from '../../../src/pulls/roll-up/erase.js'
import { createProvisionalFold, type ProvisionalSizes } from '../../../src/pulls/provisional/fold-provisional.js'
import { createLosses, type Losses } from '../../../src/storage/sql/losses.js'
import { foldPending } from '../../../src/pulls/fold-job/fold-pending.js'
import { moveAliases } from '../../../src/pulls/aliases/move-aliases.js'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryBehaviours } from '../../../src/pulls/query/query-behaviours.js'
import { queryPullers } from '../../../src/pulls/query/query-pullers.js'
import { queryPulls, type PullsAnswer } from '../../../src/pulls/query/query-pulls.js'
import { pullTotals } from '../../../src/pulls/query/pull-totals.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { fold } from '../../servers/folding.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { runs } from '../../servers/runs.js'

const SECOND = 1_000_000
const LATENESS = 300 * SECOND
const START = Date.parse('2026-11-18T23:50:00Z')
const CONTEXT = { rotation: 'never', stamps: {}, lateness: LATENESS } as const

const digest = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest
const MANIFEST = {
  object: 'manifest' as const,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digest('a1'),
}

/** A pull or a check of a tag, so many seconds after the start. */
const ask = (id: number, second: number, more: Partial<RegistryEvent> = {}): RegistryEvent => ({
  ...anEvent({
    id,
    action: 'pull',
    at: new Date(START + second * 1_000).toISOString(),
    repository: 'a',
    method: 'GET',
    ...MANIFEST,
    tag: 'latest',
  }),
  address: '192.0.2.1',
  ...more,
})

const HEAD = { method: 'HEAD' } as const
const INDEX = { mediaType: 'application/vnd.oci.image.index.v1+json', digest: digest('1d') }

const blob = (id: number, second: number): RegistryEvent => {
  const event = ask(id, second, { object: 'blob', digest: digest('b1'), size: 10 })
  delete event.tag
  return event
}

describe.each(STORE_PAIRS)('provisional pulls on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    clock = 3_000
  })

  const settle = async (now: number): Promise<void> =>
    foldPending({
      database: stores.database,
      windows: WINDOWS,
      lateness: LATENESS,
      now: () => new Date(START + now * 1_000),
      onFolded: async () => Promise.resolve(),
    })
  let clock = 3_000
  const provisionalFold = (
    holder = 'one',
    sizes?: ProvisionalSizes,
    losses: Losses = stores.database.losses,
  ): (() => Promise<void>) =>
    createProvisionalFold({
      database: { ...stores.database, losses },
      windows: WINDOWS,
      now: () => new Date(START + clock * 1_000),
      holder,
      ...(sizes && { sizes }),
    })
  const answer = async (parameters: Record<string, string> = {}, context = {}): Promise<PullsAnswer> =>
    queryPulls(
      stores.database.sql,
      parsePullsQuery(
        {
          measures: 'pulls,checks,downloads,bytes,unique_origins',
          since: '2026-11-18',
          until: '2026-11-19',
          ...parameters,
        },
        new Date(START + clock * 1_000),
      ),
      { ...CONTEXT, ...context },
    )

  test('are folded anew, all that are pending, after a connection to the database was lost', async () => {
    const losses = createLosses()
    const { ingest } = createCounting(stores)
    const fold = provisionalFold('one', undefined, losses)
    await ingest([ask(1, 0)])
    await fold()
    await sql`delete from provisional.outcomes`.execute(stores.database.sql)
    losses.broke()
    await ingest([ask(2, 600)])
    await fold()
    expect((await answer()).rows).toMatchObject([{ pulls: 2 }])
  })

  test('are in answers before they are settled, are marked so, and count once at each moment', async () => {
    const { ingest } = createCounting(stores)
    const fold = provisionalFold()
    await ingest([ask(1, 0, HEAD), ask(2, 1)])
    await fold()
    const shown = await answer()
    expect(shown.total).toEqual({ pulls: 1, checks: 0, downloads: 1, bytes: 0, unique_origins: 1 })
    expect(shown.provisional).toEqual({ since: '2026-11-18T00:00:00.000000Z', invocations: 1, pulls: 1 })
    expect(shown.notes).toEqual([
      'All numbers are provisional: no time of this period is settled for every registry, and requests may arrive up to 300 s late.',
      'Unsettled pulls in this answer: 1.',
    ])
    expect(await pullTotals(stores.database.sql)).toEqual([])

    // The check settles while its pull is pending, and then the pull does.
    await ingest([ask(3, 400), blob(4, 401)])
    await settle(401)
    expect((await answer()).total).toMatchObject({ pulls: 1 })
    await fold()
    expect((await answer()).total).toMatchObject({ pulls: 2, checks: 0, downloads: 2, bytes: 10, unique_origins: 1 })
    expect((await answer()).provisional).toEqual({
      since: isoTime((START + 101_000) * 1_000),
      invocations: 1,
      pulls: 1,
    })
    await settle(1_000)
    const settled = await answer()
    expect(settled.total).toMatchObject({ pulls: 2, checks: 0, bytes: 10 })
    expect(settled.provisional).toBeUndefined()
    expect(settled.notes).toEqual([])
    await fold()
    const { rows } = await sql`select from provisional.outcomes`.execute(stores.database.sql)
    expect(rows).toHaveLength(0)
  })

  test('replace the settled outcome that they continue', async () => {
    const { ingest } = createCounting(stores)
    const fold = provisionalFold()
    await ingest([ask(1, 0, HEAD)])
    await settle(0)
    await settle(301)
    expect((await answer()).total).toMatchObject({ pulls: 0, checks: 1 })
    await ingest([ask(2, 20)])
    await fold()
    expect((await answer()).total).toMatchObject({ pulls: 1, checks: 0 })
    expect((await answer({}, { isSettledOnly: true })).total).toMatchObject({ pulls: 0, checks: 1 })
  })

  test('are shown in whatever order requests arrive, and however many processes fold', async () => {
    const { ingest } = createCounting(stores)
    const [one, two] = [provisionalFold('one'), provisionalFold('two')]
    await ingest([ask(1, 200)])
    await one()
    await two()
    await ingest([ask(2, 100)])
    await two()
    await one()
    expect((await answer()).total).toMatchObject({ pulls: 2 })
    // When one process ends, the other takes over.
    await sql`update provisional.run set until = now() - interval '1 second'`.execute(stores.database.sql)
    await ingest([ask(3, 150)])
    await two()
    await one()
    expect((await answer()).total).toMatchObject({ pulls: 3 })
    await ingest([ask(4, 160)])
    await Promise.all([one(), two()])
    expect((await answer()).total).toMatchObject({ pulls: 4 })
  })

  test('are bounded in one run: for the other requests, answers say since when they are pending', async () => {
    const { ingest } = createCounting(stores)
    const sizes = { batch: 2, run: 5, registry: 3, unsettled: 7 }
    const fold = provisionalFold('one', sizes)
    await ingest(Array.from({ length: 10 }, (_, i) => ask(i + 1, i)))
    await ingest([ask(11, 0, { registry: 'other.example', repository: 'b' as RepositoryPath })])
    await fold()
    expect((await answer({ repository: 'a' })).total).toMatchObject({ pulls: 3 })
    expect((await answer({ repository: 'b' })).total).toMatchObject({ pulls: 1 })
    const waiting = 'Requests since 2026-11-18 23:50:03 (UTC) are pending, and not all included in these numbers yet.'
    expect((await answer()).notes).toContainEqual(waiting)
    // A continuing flood is bounded by the memory of the process.
    for (let i = 0; i < 5; i++) {
      await ingest([ask(20 + i, 100 + i), ask(30 + i, 100 + i)])
      await fold()
    }
    expect((await answer({ repository: 'a' })).total).toMatchObject({ pulls: 6 })
    await settle(200)
    await settle(600)
    await fold()
    const settled = await answer()
    expect([settled.total.pulls, settled.provisional, settled.notes]).toEqual([21, undefined, []])
    await ingest([ask(40, 500)])
    await fold()
    expect((await answer()).total).toMatchObject({ pulls: 22 })
  })

  test('of a clock that is ahead are shown when their time is reached', async () => {
    const { ingest } = createCounting(stores)
    const fold = provisionalFold()
    clock = 100
    await ingest([ask(1, 10), ask(2, 102)])
    await fold()
    await fold()
    expect((await answer()).total).toMatchObject({ pulls: 1 })
    expect((await answer()).notes).toContainEqual(
      expect.stringContaining('Requests since 2026-11-18 23:51:42 (UTC) are pending'),
    )
    clock = 103
    await fold()
    expect((await answer()).total).toMatchObject({ pulls: 2 })
    clock = 3_000
    await fold()
    expect((await answer()).total).toMatchObject({ pulls: 2 })
  })

  test('are in the answers about pullers and about behaviour', async () => {
    const { ingest } = createCounting(stores)
    await ingest([ask(1, 0), ask(2, 100)])
    await provisionalFold()()
    const query = parsePullsQuery({ since: '2026-11-18', until: '2026-11-19' }, new Date(START))
    const pullers = await queryPullers(stores.database.sql, query, 10, CONTEXT)
    expect(pullers).toMatchObject({ pulls: 2, pullers: 1, provisional: { pulls: 2 } })
    const look = { now: new Date(START + 200_000), days: 1, limit: 10 }
    expect(await queryBehaviours(stores.database.sql, look, {})).toMatchObject({
      items: [{ repository: 'a' }],
      provisional: { invocations: 2 },
      notes: [
        expect.stringMatching(/^All numbers are provisional/),
        expect.stringMatching(/^Unsettled pulls .*: 2\.$/),
      ],
    })
    expect((await answer({ group_by: 'behaviour', behaviour: 'insufficient' })).rows).toMatchObject([{ pulls: 2 }])
  })

  test('leave numbers provisional that a request may still change, whatever the repository of the query', async () => {
    const { ingest } = createCounting(stores)
    await ingest([ask(1, 0)])
    await settle(0)
    await settle(301)
    await ingest([350, 660].map((second) => ask(second, second, { repository: 'b' as RepositoryPath })))
    await settle(660)
    clock = 661
    // The fold is at 23:56, and the day is over.
    const fold = isoTime((START + 360_000) * 1_000)
    for (const filter of [{}, { repository: 'a' }, { repository: 'b' }, { kind: 'scanner' }])
      expect((await answer(filter)).provisional).toEqual({ since: fold, invocations: 0, pulls: 0 })
    expect((await answer({ registry: 'other.example' })).provisional).toBeUndefined()
    expect((await answer({ until: '2026-11-18', since: '2026-11-17' })).provisional?.since).toBe(fold)
    expect((await answer({ until: '2026-11-17', since: '2026-11-17' })).provisional).toBeUndefined()
    await ingest([ask(3, 580)])
    await provisionalFold()()
    expect((await answer({ repository: 'a' })).provisional).toEqual({ since: fold, invocations: 1, pulls: 1 })

    // All is settled, but a request of a day that ended a minute ago may still arrive.
    await settle(1_100)
    const day = { since: '2026-11-18', until: '2026-11-18' }
    expect((await answer(day)).provisional).toBeUndefined()
    await stores.clear()
    await createCounting(stores).ingest([ask(1, 0)])
    await settle(0)
    await settle(301)
    expect((await answer(day)).provisional?.since).toBe(isoTime((START + 361_000) * 1_000))
    expect((await answer()).provisional).toBeUndefined()
    clock = 900
    expect((await answer(day)).provisional).toBeUndefined()
  })

  test('show no time of a single request if those of few origins are not shown', async () => {
    const { ingest } = createCounting(stores)
    const sizes = { batch: 2, run: 1, registry: 1, unsettled: 1 }
    await ingest([ask(1, 65)])
    await settle(65)
    await settle(366)
    await ingest([ask(2, 400), ask(3, 401)])
    await settle(401)
    await provisionalFold('one', sizes)()
    const shown = await answer({ since: '2026-11-18', until: '2026-11-19' }, { minimumGroupSize: 2 })
    expect(shown.provisional).toEqual({ since: '2026-11-18T23:00:00.000000Z' })
    for (const note of shown.notes) expect(note).not.toMatch(/\d\d:5\d:\d\d/)
    expect(shown.notes).toContainEqual(expect.stringContaining('are pending, and not all included'))
  })

  test('show no group of few origins, nor how many of it are provisional', async () => {
    const { ingest } = createCounting(stores)
    await ingest([ask(1, 0)])
    await provisionalFold()()
    const shown = await answer({ group_by: 'repository' }, { minimumGroupSize: 2 })
    expect([shown.rows, shown.total, Object.keys(shown.provisional ?? {})]).toEqual([[], {}, ['since']])
  })

  test('are erased with their origin, and do not return', async () => {
    const { ingest } = createCounting(stores)
    const fold = provisionalFold()
    await ingest([ask(1, 0, HEAD), ask(2, 0, { repository: 'b' as RepositoryPath })])
    await fold()
    await erase(stores.database, { repository: 'a' })
    expect((await answer({ repository: 'a' })).total).toMatchObject({ pulls: 0, checks: 0 })
    await ingest([ask(3, 10)])
    await fold()
    expect((await answer({ repository: 'a' })).total).toMatchObject({ pulls: 1, checks: 0 })
    expect((await answer({ repository: 'b' })).total).toMatchObject({ pulls: 1 })
    const { rows } = await sql<{ id: string }>`select id from provisional.outcomes where repository = 'a'`.execute(
      stores.database.sql,
    )
    expect(rows).toHaveLength(1)
  })

  test('move with their registry', async () => {
    const { ingest } = createCounting(stores)
    const fold = provisionalFold()
    await ingest([ask(1, 0, { registry: 'alias.example' })])
    await fold()
    await moveAliases({ database: stores.database, windows: WINDOWS }, new Map([['alias.example', 'name.example']]))
    await fold()
    expect((await answer({ group_by: 'registry' })).rows).toMatchObject([{ registry: 'name.example', pulls: 1 }])
  })

  test('count once if a HEAD arrives after its GET, and the fold settles between them', async () => {
    const { ingest } = createCounting(stores)
    const fold = provisionalFold()
    await ingest([ask(1, 100, INDEX)])
    await fold()
    await ingest([ask(2, 99, { ...HEAD, ...INDEX })])
    await fold()
    await ingest([ask(3, 399.5, { repository: 'b' as RepositoryPath })])
    await settle(399.5)
    const child = ask(4, 100.4)
    delete child.tag
    await ingest([child])
    await fold()
    expect((await answer({ repository: 'a' })).total).toMatchObject({ pulls: 1, checks: 1 })
    await settle(400)
    await settle(1_000)
    expect((await answer({ repository: 'a' })).total).toMatchObject({ pulls: 1, checks: 0 })
  })

  const anyRequest = fc.record({
    what: fc.constantFrom('head', 'index', 'image', 'digest', 'blob', 'other blob'),
    repository: fc.constantFrom('a', 'b'),
    /** The step after the arrival of a request: p folds provisionally, s settles. */
    steps: fc.constantFrom('', 'p', 'p', 's', 'sp', 'ps'),
  })
  type AnyRequest = { second: number; what: string; repository: string }
  const eventOf = ({ second, what, repository }: AnyRequest, i: number): RegistryEvent => {
    const event = ask(i + 1, second, { repository: repository as RepositoryPath, size: 5 })
    if (what === 'head') return { ...event, ...HEAD }
    if (what === 'index') return { ...event, ...INDEX }
    if (what === 'image') return event
    delete event.tag
    if (what === 'digest') return event
    return { ...event, object: 'blob', digest: digest(what === 'blob' ? 'b1' : 'b2'), size: 10 }
  }

  type Counts = { pulls: number; checks: number; bytes: number }
  /** The numbers of requests after all have arrived. */
  const wholeFold = (events: readonly RegistryEvent[]): Counts => {
    const requests = events.flatMap((event) => requestOf(event) ?? []).sort(inOrder)
    const counts = { pulls: 0, checks: 0, bytes: 0 }
    for (const outcome of fold(requests)) {
      const { pulls, checks, bytes } = measuresOf(outcome, true)
      counts.pulls += pulls
      counts.checks += checks
      counts.bytes += bytes
    }
    return counts
  }

  test('are at each moment what a fold of all requests gives, if these arrive in order', async () => {
    const one = fc.record({ request: anyRequest, after: fc.constantFrom(1, 10, 61, 200) })
    await fc.assert(
      fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 15 }), async (all) => {
        await stores.clear()
        const { ingest } = createCounting(stores)
        const show = provisionalFold()
        let second = 0
        const arrived: RegistryEvent[] = []
        for (const [i, { request, after }] of all.entries()) {
          second += after
          const event = eventOf({ ...request, second }, i)
          await ingest([event])
          arrived.push(event)
          let isShown = false
          for (const step of request.steps) {
            if (step === 'p') await show()
            else await settle(second)
            isShown ||= step === 'p'
            if (isShown) expect((await answer()).total).toMatchObject(wholeFold(arrived))
          }
        }
      }),
      runs(8),
    )
  })

  test('count no byte twice if a blob that arrives late is settled before the one of an earlier look', async () => {
    const { ingest } = createCounting(stores)
    const fold = provisionalFold()
    await ingest([blob(1, 1)])
    await fold()
    await ingest([{ ...blob(2, 0), digest: digest('b2') }])
    await fold()
    await ingest([ask(3, 300, { repository: 'b' as RepositoryPath })])
    await settle(300)
    await fold()
    expect((await answer({ repository: 'a' })).total).toMatchObject({ bytes: 20 })
  })

  test('count the bytes of a layer once if a request for it arrives late', async () => {
    const { ingest } = createCounting(stores)
    const fold = provisionalFold()
    await ingest([blob(1, 1)])
    await fold()
    await ingest([blob(2, 0)])
    await fold()
    expect((await answer()).total).toMatchObject({ bytes: 10 })
    await ingest([{ ...blob(3, 2), digest: digest('b2') }, blob(4, 3)])
    await fold()
    expect((await answer()).total).toMatchObject({ bytes: 20 })
  })

  test('end in the same settled numbers in any order, and are never more than requests', async () => {
    const one = fc.record({ request: anyRequest, second: fc.integer({ min: 0, max: 900 }) })
    const outcomes = async (): Promise<unknown> =>
      (await sql`select to_jsonb(o) as row from pulls.outcomes o order by id`.execute(stores.database.sql)).rows
    await fc.assert(
      fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 15 }), async (all) => {
        const events = all.map(({ request, second }, i) => eventOf({ ...request, second }, i))
        await stores.clear()
        await createCounting(stores).ingest(events)
        await settle(901)
        await settle(2_000)
        const expected = [await outcomes(), (await answer()).total]

        await stores.clear()
        const { ingest } = createCounting(stores)
        const show = provisionalFold()
        let latest = 0
        for (const [i, event] of events.entries()) {
          await ingest([event])
          const arrived = events.slice(0, i + 1)
          latest = Math.max(latest, all[i]?.second ?? 0)
          for (const step of all[i]?.request.steps ?? '') {
            if (step === 'p') await show()
            // No request is late: the fold stops at the earliest request that is yet to arrive.
            else if (all.slice(i + 1).every(({ second }) => second > latest - 300)) await settle(latest)
            if (step !== 'p') continue
            const { pulls = NaN, checks = NaN, bytes = NaN } = (await answer()).total
            const [whole, alone] = [wholeFold(arrived), eachAlone(arrived)]
            // A request that arrives late may join another pull than in order, so no number is bound closer from below.
            expect(pulls).toBeGreaterThanOrEqual(Math.min(1, whole.pulls))
            expect(pulls).toBeLessThanOrEqual(alone.pulls)
            expect(checks).toBeLessThanOrEqual(alone.checks)
            // A settled pull may take a layer from a pull that still has the layer provisionally.
            expect(bytes).toBeLessThanOrEqual(2 * alone.bytes)
          }
        }
        await show()
        await settle(901)
        await settle(2_000)
        expect([await outcomes(), (await answer()).total]).toEqual(expected)
        await show()
        expect((await answer()).total).toEqual(expected[1])
      }),
      runs(8),
    )
  })
})

/** The numbers of requests if no two of them belong together. */
const eachAlone = (events: readonly RegistryEvent[]): { pulls: number; checks: number; bytes: number } => {
  const manifests = events.filter(({ object }) => object === 'manifest')
  const gets = events.filter(({ method }) => method !== 'HEAD')
  return {
    pulls: manifests.filter(({ method }) => method !== 'HEAD').length,
    checks: manifests.filter(({ method }) => method === 'HEAD').length,
    bytes: gets.reduce((sum, { size = 0 }) => sum + size, 0),
  }
}
