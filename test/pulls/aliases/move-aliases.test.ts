import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { Digest } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { foldPending } from '../../../src/pulls/fold-job/fold-pending.js'
import { moveAliases } from '../../../src/pulls/aliases/move-aliases.js'
import { expireOutcomes } from '../../../src/pulls/roll-up/expire-outcomes.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import { settleSilent } from '../../../src/pulls/roll-up/settle-silent.js'
import { summarizePulls } from '../../../src/pulls/roll-up/summarize.js'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryPulls } from '../../../src/pulls/query/query-pulls.js'
import { MEASURE_NAMES } from '../../../src/pulls/model/measures.js'
import { pullTotals } from '../../../src/pulls/query/pull-totals.js'
import type { Ingest } from '../../../src/ingest/ingest.js'
import { createCounting } from '../../servers/counting.js'
import { failAt } from '../../servers/fail-at.js'
import { anEvent } from '../../servers/events.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const ALIAS = 'alias.example'
const NAME = 'registry.example'
const ALIASES = new Map([
  [ALIAS, NAME],
  ['other.example', NAME],
  // Sorted after the name in the order of registries.
  ['z.example', NAME],
])
const LATENESS = 300
const START = Date.parse('2026-11-15T00:00:00Z')
const HOUR = 3_600
const DAY = 86_400
const DIGEST = `sha256:${'a1'.padStart(64, '0')}` as Digest

type RequestCase = { second: number; registry?: string; method?: 'GET' | 'HEAD'; repository?: string; origin?: number }

/** A request for a tag, so many seconds after the start. */
const request = (id: number, { second, registry = ALIAS, method = 'GET', repository = 'a', origin = 1 }: RequestCase) =>
  ({
    ...anEvent({ id, action: 'pull', at: timeOf(second).toISOString(), registry, repository, method }),
    object: 'manifest',
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: DIGEST,
    tag: 'latest',
    address: `192.0.2.${origin}`,
    userAgent: origin % 2 === 0 ? 'docker/27.0.1 os/linux arch/arm64' : 'containerd/1.7.0',
  }) as RegistryEvent

const timeOf = (second: number): Date => new Date(START + second * 1_000)

describe.each(STORE_PAIRS)('pulls under an alias, on %s', (_, open) => {
  let stores: TestStores
  let ingest: Ingest['ingest']
  let late = 0
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => begin())
  afterAll(async () => stores.close())

  const begin = async (): Promise<void> => {
    await stores.clear()
    ingest = createCounting(stores).ingest
    late = 0
  }
  const fold = async (second: number): Promise<void> =>
    foldPending({
      database: stores.database,
      windows: WINDOWS,
      lateness: LATENESS * 1_000_000,
      now: () => timeOf(second),
      onFolded: async (_tx, { late: requests }) => {
        late += requests
        return Promise.resolve()
      },
    })
  /** Folds all pending requests, as if no newer one arrives. */
  const foldAll = async (second: number): Promise<void> => {
    await fold(second)
    await fold(second + LATENESS)
  }
  const rolled = async (): Promise<void> => rollUp({ database: stores.database, windows: WINDOWS })
  const moved = async (most?: number, database = stores.database): Promise<void> =>
    moveAliases({ database, windows: WINDOWS, ...(most !== undefined && { most }) }, ALIASES)
  const forgotten = async (second: number): Promise<void> => expireOutcomes(stores.database, 1, timeOf(second))

  /** Over both names together. */
  const answers = async (
    measures: readonly string[] = MEASURE_NAMES,
    others: readonly string[] = [],
  ): Promise<unknown[]> => {
    const all = []
    for (const group_by of ['', 'day', 'month', 'repository', 'client', 'day,repository,client', 'tag', ...others]) {
      const period = group_by === 'hour' ? '2026-11-18' : '2026'
      const parameters = { measures: measures.join(), period, limit: '10000', ...(group_by && { group_by }) }
      const query = parsePullsQuery(parameters, timeOf(10 * DAY))
      const { total, rows } = await queryPulls(stores.database.sql, query, { rotation: 'never', stamps: {} })
      all.push({ group_by, total, rows })
    }
    return all
  }
  const totals = async (): Promise<Record<string, number>> => {
    const sums: Record<string, number> = {}
    for (const { repository, invocations, pulls } of await pullTotals(stores.database.sql))
      sums[repository] = (sums[repository] ?? 0) + invocations * 1_000 + pulls
    return sums
  }
  /** How many rows each table has under the alias. */
  const rowsOfAlias = async (): Promise<Record<string, number>> => {
    const { rows: tables } = await sql<{ name: string }>`
      select table_name as name from information_schema.columns
      where table_schema = 'pulls' and column_name = 'registry' order by 1
    `.execute(stores.database.sql)
    const counts: Record<string, number> = {}
    for (const { name } of tables) {
      const { rows } = await sql<{ count: string }>`
        select count(*) from ${sql.table(`pulls.${name}`)} where registry = ${ALIAS}
      `.execute(stores.database.sql)
      counts[name] = Number(rows[0]?.count)
    }
    return counts
  }
  const outcomes = async (): Promise<unknown[]> => {
    const { rows } = await sql`
      select registry, gets, tag from pulls.outcomes order by at, id
    `.execute(stores.database.sql)
    return rows
  }

  /** Four days of both names. The first has no detail any more; the last requests are pending, and some chains are open. */
  const record = async (): Promise<void> => {
    const events = Array.from({ length: 120 }, (_one, i) =>
      request(i + 1, {
        second: i * 2_800 + (i % 3) * 30,
        registry: i % 2 === 0 ? ALIAS : NAME,
        method: i % 5 === 0 ? 'HEAD' : 'GET',
        repository: ['a', 'b', 'b', 'c', 'd'][i % 5] ?? 'a',
        origin: Math.floor(i / 2) % 3,
      }),
    )
    const end = 120 * 2_800
    await ingest(events)
    await foldAll(end)
    await rolled()
    await summarizePulls(stores.database)
    await forgotten(3 * DAY)
    await ingest([
      request(201, { second: end + 400, origin: 1 }),
      request(202, { second: end + 400, origin: 1, registry: NAME }),
    ])
    await foldAll(end + 400)
    await ingest([request(301, { second: end + 800 }), request(302, { second: end + 850, registry: NAME })])
  }

  test('are moved to its registry, in every table, and no number changes', async () => {
    await record()
    await sql`
      insert into pulls.rolling_days (registry, day, repository, stage, hashed_to) values (${ALIAS}, '2026-11-19', 'a', 'rows', 0)
    `.execute(stores.database.sql)
    // Imported requests of a day that is rolled up, and of one that is not. They are not folded in this test.
    await sql`
      with days as (select day::date from unnest(${['2026-11-16', '2026-11-30']}::text[]) as days (day)),
        marked as (insert into pulls.segment_days (registry, day, changed_at) select ${ALIAS}, day, now() from days)
      insert into pulls.segments (file, registry, day, requests, columns) select 1, ${ALIAS}, day, 1, '' from days
    `.execute(stores.database.sql)
    const before = await rowsOfAlias()
    expect(Object.entries(before).filter(([, count]) => count === 0)).toEqual([])
    const [requestCases, summed] = [await answers(), await totals()]
    await moved()
    const after = await rowsOfAlias()
    expect(after).toEqual(Object.fromEntries(Object.keys(before).map((table) => [table, 0])))
    expect(await answers()).toEqual(requestCases)
    expect(await totals()).toEqual(summed)
    // And summarized again under the one name.
    await rolled()
    await summarizePulls(stores.database)
    expect(await answers()).toEqual(requestCases)
    await moved()
    expect(await answers()).toEqual(requestCases)
  })

  test('a move that is interrupted has changed no number, and is resumed', async () => {
    await record()
    const [requestCases, summed] = [await answers(), await totals()]
    const db = stores.database.sql
    for (const table of ['behaviours', 'summarized', 'requests']) {
      await sql`alter table ${sql.table(`pulls.${table}`)} rename to elsewhere`.execute(db)
      try {
        await expect(moved()).rejects.toThrow(AggregateError)
      } finally {
        await sql`alter table pulls.elsewhere rename to ${sql.raw(table)}`.execute(db)
      }
      expect(await answers()).toEqual(requestCases)
    }
    expect((await rowsOfAlias()).registries).toBe(1)
    await moved()
    expect(Object.values(await rowsOfAlias()).every((count) => count === 0)).toBe(true)
    expect([await answers(), await totals()]).toEqual([requestCases, summed])
  })

  test('a move that waits for a roll-up does not wait for another registry, whose roll-up fails', async () => {
    const broken = 'broken.example'
    const { sql: db, jobs } = stores.database
    const each = (id: number, second: number) =>
      [ALIAS, NAME, broken].map((registry, i) => request(id + i, { second, registry }))
    await ingest([...each(1, 0), ...each(4, 5 * DAY)])
    await foldAll(5 * DAY)
    await rollUp({ database: stores.database, windows: WINDOWS, registries: [ALIAS] })
    await sql`alter table pulls.days add constraint broken check (registry <> ${sql.lit(broken)})`.execute(jobs)
    try {
      await expect(rolled()).rejects.toThrow(AggregateError)
      await sql`delete from pulls.days where registry = ${NAME}`.execute(db)
      await sql`update pulls.registries set rolled_to = '-infinity' where registry = ${NAME}`.execute(db)
      await moved()
    } finally {
      await sql`alter table pulls.days drop constraint broken`.execute(jobs)
    }
    expect((await rowsOfAlias()).registries).toBe(0)
  })

  test('a pull that began under the alias continues under the name', async () => {
    await ingest([request(1, { second: 0, method: 'HEAD' })])
    await foldAll(1)
    await moved()
    await ingest([request(2, { second: 30, registry: NAME })])
    await foldAll(400)
    expect(await outcomes()).toEqual([{ registry: NAME, gets: 1, tag: 'latest' }])
    expect(await totals()).toEqual({ a: 1_001 })
  })

  test('an open pull of one origin continues, whichever name has it', async () => {
    await ingest([
      request(1, { second: 0, method: 'HEAD' }),
      request(2, { second: 10, method: 'HEAD', registry: NAME }),
    ])
    await foldAll(10)
    await moved()
    await ingest([request(3, { second: 30, registry: NAME }), request(4, { second: 31, registry: NAME })])
    await foldAll(400)
    expect(await outcomes()).toEqual([
      { registry: NAME, gets: 1, tag: 'latest' },
      { registry: NAME, gets: 1, tag: 'latest' },
    ])
    expect(late).toBe(0)
  })

  test('pending requests under either name are not late, however far the other was folded', async () => {
    await ingest([request(1, { second: HOUR, registry: NAME }), request(2, { second: 2 * HOUR, registry: NAME })])
    await foldAll(2 * HOUR)
    await ingest([request(3, { second: HOUR }), request(4, { second: 2 * HOUR + 100, registry: NAME })])
    await moved()
    await foldAll(3 * HOUR)
    expect(await outcomes()).toHaveLength(4)
    expect(late).toBe(0)
  })

  test('pending requests under the alias are not late, even if the name was settled as silent', async () => {
    await ingest([request(1, { second: HOUR, registry: NAME })])
    await foldAll(HOUR)
    const lateness = LATENESS * 1_000_000
    await settleSilent(stores.database, { windows: WINDOWS, lateness, days: 1, now: timeOf(3 * DAY) })
    const { rows: settled } = await sql`
      select from pulls.registries where folded_to > ${timeOf(2 * HOUR).toISOString()}::timestamptz
    `.execute(stores.database.sql)
    expect(settled).toHaveLength(1)
    await rolled()
    await ingest([request(2, { second: 2 * HOUR })])
    await moved()
    await foldAll(3 * DAY)
    await moved()
    expect(await outcomes()).toMatchObject([{ registry: NAME }, { registry: NAME }])
    expect(late).toBe(0)
  })

  test('requests that arrive later under the alias are counted once, also on rolled-up days', async () => {
    await record()
    await moved()
    const [{ total }] = (await answers(['invocations'])) as [{ total: { invocations: number } }]
    await ingest([request(901, { second: HOUR, repository: 'z' }), request(902, { second: 120 * 2_800 + 900 })])
    const end = 5 * DAY
    for (const at of [end, end + LATENESS, end + 2 * LATENESS]) {
      await moved()
      await fold(at)
    }
    await moved()
    expect(Object.values(await rowsOfAlias()).every((count) => count === 0)).toBe(true)
    const [after] = (await answers(['invocations'])) as [{ total: { invocations: number } }]
    // Including the two pending requests.
    expect([after.total.invocations - total.invocations, late]).toEqual([4, 0])
  })

  test('a day that is being rolled up includes rows that are moved to it meanwhile', async () => {
    await ingest([
      ...[0, 2 * DAY].map((second, i) => request(i + 1, { second, registry: NAME })),
      ...[60, 2 * DAY].map((second, i) =>
        request(i + 3, { second, registry: 'z.example', repository: 'b', origin: 2 }),
      ),
    ])
    await foldAll(2 * DAY)
    let moves = 0
    const isNextDay = new WeakSet()
    const jobs = stores.database.jobs.withPlugin({
      transformQuery: ({ node, queryId }) => {
        if (JSON.stringify(node).includes('as day from pulls.outcomes\\n')) isNextDay.add(queryId)
        return node
      },
      transformResult: async ({ result, queryId }) => {
        // All rows of the day are written, but answers do not read them yet.
        if (isNextDay.has(queryId) && moves++ === 0) await moved()
        return result
      },
    })
    // The embedded database has one connection: nothing goes on beside a statement.
    if (stores.database.engine === 'pglite') await moved()
    else await rollUp({ database: { ...stores.database, jobs }, windows: WINDOWS })
    expect(moves > 0).toBe(stores.database.engine === 'postgresql')
    for (let times = 0; times < 2; times++) {
      const [{ rows }] = (await answers(['pulls'])).slice(3) as [{ rows: unknown }]
      expect(rows).toEqual([
        { repository: 'a', pulls: 2 },
        { repository: 'b', pulls: 2 },
      ])
      await rolled()
    }
  })

  test('an alias without pulls takes one query, and waits for no lock', async () => {
    await ingest([request(1, { second: 0, registry: NAME })])
    await foldAll(1)
    let statements = 0
    const counted = stores.database.sql.withPlugin({
      transformQuery: ({ node }) => {
        statements++
        return node
      },
      transformResult: async ({ result }) => Promise.resolve(result),
    })
    const database = { ...stores.database, sql: counted, jobs: counted }
    await moveAliases({ database, windows: WINDOWS }, ALIASES)
    expect(statements).toBe(1)
  })

  const OPERATIONS = ['nothing', 'fold', 'fold all', 'fold all', 'roll up', 'summarize', 'forget', 'compare'] as const
  const requestCases = fc.record({
    gap: fc.constantFrom(5, 40, 400, 2 * HOUR, 9 * HOUR, 30 * HOUR),
    registry: fc.constantFrom(ALIAS, NAME, 'other.example'),
    method: fc.constantFrom<'GET' | 'HEAD'>('GET', 'GET', 'HEAD'),
    repository: fc.constantFrom('a', 'b'),
    origin: fc.nat(2),
    then: fc.constantFrom(...OPERATIONS),
  })
  const history = fc.array(requestCases, { minLength: 10, maxLength: 30 }).map((all) => {
    let second = 0
    return all.map(({ gap, origin, then, ...one }, i) => {
      second += gap
      // No client uses both names, so the same requests belong together before the alias is known.
      const person = origin + 3 * [ALIAS, NAME, 'other.example'].indexOf(one.registry)
      return { event: request(i + 1, { ...one, second, origin: person }), second, then }
    })
  })
  type History = typeof history extends fc.Arbitrary<infer T> ? T : never

  /**
   * @param known the request from which on the alias is configured; from then on its requests move at once, unless the move is interrupted
   * @param broken the number of rows of a portion, and the statement at which the move is interrupted
   */
  const live = async (all: History, known = Infinity, broken?: { most: number; at: number }): Promise<void> => {
    for (const [i, { event, second, then }] of all.entries()) {
      await ingest([event])
      if (i >= known) {
        const before = then === 'compare' && (await answers())
        if (broken) await moved(broken.most, failAt(stores.database, broken.at + i)).catch(() => undefined)
        else await moved()
        if (before) expect(await answers()).toEqual(before)
      }
      if (then === 'fold') await fold(second)
      if (then === 'fold all') await foldAll(second)
      if (then === 'roll up') await rolled()
      if (then === 'summarize') await summarizePulls(stores.database)
      if (then === 'forget') await forgotten(second)
    }
    await foldAll((all.at(-1)?.second ?? 0) + 1)
  }

  const broken = fc.option(fc.record({ most: fc.constantFrom(1, 2, 10_000), at: fc.nat(80) }), { nil: undefined })

  test('end in the numbers that they have under two names, whatever happens in between, also to a move in portions', async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.nat(20), broken, async (all, known, breaks) => {
        await begin()
        await live(all)
        const expected = [await answers(), await totals()]
        await begin()
        await live(all, known, breaks)
        await moved(breaks?.most)
        // A name with a pending request may have to be folded first.
        if (breaks) {
          await foldAll((all.at(-1)?.second ?? 0) + 1 + LATENESS)
          await moved(breaks.most)
        }
        expect([await answers(), await totals()]).toEqual(expected)
        expect(late).toBe(0)
        expect(Object.values(await rowsOfAlias()).every((count) => count === 0)).toBe(true)
        await rolled()
        await summarizePulls(stores.database)
        expect(await answers()).toEqual(expected[0])
      }),
      runsOn(stores.database, { postgresql: 4, pglite: 2 }),
    )
  })

  /** The salt changed after the folded requests, and before the pending ones. */
  const renameOrigins = async (): Promise<void> => {
    await sql`
      update pulls.pending set origin = 'new ' || origin,
        request = (request::jsonb || jsonb_build_object('previous', origin))::text
    `.execute(stores.database.sql)
  }

  test.each([
    ['goes on', async () => Promise.resolve()],
    ['goes on under the next salt', renameOrigins],
  ])('a pull that %s between two portions of a move is one pull', async (_how, between) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 15, max: 90 }), async (most, at) => {
        await begin()
        const all = (second: number, method: 'GET' | 'HEAD') =>
          [1, 2, 3].map((origin) => request(second * 10 + origin, { second, method, origin }))
        await ingest(all(0, 'HEAD'))
        await foldAll(1)
        await ingest(all(30, 'GET'))
        await between()
        await moved(most, failAt(stores.database, at)).catch(() => undefined)
        await foldAll(400)
        await moved(most)
        await foldAll(800)
        await moved(most)
        expect(await outcomes()).toEqual(all(0, 'GET').map(() => ({ registry: NAME, gets: 1, tag: 'latest' })))
        expect(await totals()).toEqual({ a: 3_003 })
      }),
      runsOn(stores.database, { postgresql: 20, pglite: 10 }),
    )
  })

  test('no number changes between two portions of a move', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.integer({ min: 10, max: 300 }), { maxLength: 4 }),
        async (most, breaks) => {
          await begin()
          await record()
          const expected = [await answers(MEASURE_NAMES, ['behaviour', 'hour']), await totals()]
          for (const [i, at] of [...breaks, Infinity].entries()) {
            await moved(most, failAt(stores.database, at)).catch(() => undefined)
            expect([await answers(MEASURE_NAMES, ['behaviour', 'hour']), await totals()]).toEqual(expected)
            if (i % 2 === 0) await summarizePulls(stores.database)
            expect([await answers(MEASURE_NAMES, ['behaviour', 'hour']), await totals()]).toEqual(expected)
          }
          expect(Object.values(await rowsOfAlias()).every((count) => count === 0)).toBe(true)
        },
      ),
      runsOn(stores.database, { postgresql: 4, pglite: 2 }),
    )
  })

  test('are counted once while another process folds, rolls up, summarizes and expires them', async () => {
    const all = Array.from({ length: 8 }, (_one, day) =>
      Array.from({ length: 40 }, (_two, i) => {
        const registry = i % 2 === 0 ? ALIAS : NAME
        const [second, origin] = [day * DAY + i * 2_000, i % 10]
        return request(day * 40 + i + 1, { second, registry, origin, repository: ['a', 'b', 'c'][i % 3] ?? 'a' })
      }),
    )
    const finish = async (): Promise<unknown[]> => {
      await foldAll(9 * DAY)
      await moved()
      await rolled()
      await summarizePulls(stores.database)
      const { rows: waiting } = await sql`select registry, at from pulls.pending`.execute(stores.database.sql)
      return [await answers(), await totals(), late, waiting]
    }
    for (const events of all) await ingest(events)
    const expected = await finish()
    await begin()
    for (const [day, events] of all.entries()) {
      const end = (day + 1) * DAY
      await ingest(events)
      const others = day % 2 === 0 ? [summarizePulls(stores.database), moved()] : [rolled(), fold(end)]
      await Promise.all([foldAll(end), moved(), rolled(), forgotten(end), ...others])
    }
    expect(await finish()).toEqual(expected)
  })
})
