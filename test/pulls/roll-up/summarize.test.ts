import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { erase } from '../../../src/pulls/roll-up/erase.js'
import { expireOutcomes } from '../../../src/pulls/roll-up/expire-outcomes.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import { summarizePulls } from '../../../src/pulls/roll-up/summarize.js'
import { parsePullsQuery, type PullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryPulls, type PullsAnswer } from '../../../src/pulls/query/query-pulls.js'
import { dimension, DIMENSION_NAMES, SUMMARIZED } from '../../../src/pulls/model/dimensions.js'
import { MEASURE_NAMES } from '../../../src/pulls/model/measures.js'
import { addDays } from '../../../src/pulls/model/period.js'
import { HyperLogLog } from '../../../src/storage/sketches/hyperloglog/hyperloglog.js'
import { eventually } from '../../servers/process.js'
import { noise } from '../../servers/noise.js'
import { keepOutcomes } from '../../servers/outcomes.js'
import { runsOn } from '../../servers/runs.js'
import { seeing } from '../../servers/seen-statements.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

/** A history with pulls on the first and last days. */
const EXAMPLE = { seed: 20_261_122, numRuns: 1 }
const TODAY = '2026-11-05'
const NOW = new Date(`${TODAY}T12:00:00Z`)
/** One whole month between two partial ones. */
const FIRST = '2026-09-24'
const DAYS = 41

/** Earlier versions stored values that no index has room for. */
const LONG = noise(3_000, 'long')

const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { freq: 3 })
const yes = fc.boolean()
const outcome = fc.record({
  what: fc.constantFrom('invocation', 'invocation', 'invocation', 'artifact', 'orphan', 'failure'),
  at: fc.record({ day: fc.nat(DAYS - 1), second: fc.nat(86_399) }),
  registry: fc.constantFrom('one.example', 'two.example'),
  repository: fc.constantFrom('a', 'team/b', 'team/c', 'team/rare'),
  origin: fc.nat(12).map((n) => `origin${n}`),
  endpoint: fc.nat(6).map((n) => `endpoint${n}`),
  source: fc.constant('notification'),
  by_tag: yes,
  tag: orNull(fc.constantFrom('1.0', 'latest')),
  digest: orNull(fc.constantFrom('sha256:a', 'sha256:b')),
  gets: fc.nat(2),
  layers: fc.nat(2),
  bytes: fc.nat(1_000),
  platform: fc.constantFrom('linux/amd64', 'linux/arm64', 'unknown', LONG),
  platform_from: orNull(fc.constantFrom('index', 'client')),
  platform_pulls: fc.nat(2),
  starts_session: yes,
  shows_blobs: yes,
  client: fc.constantFrom('docker', 'containerd'),
  client_version: orNull(fc.constantFrom('1', '2')),
  kind: fc.constantFrom('runtime', 'scanner'),
  os: orNull(fc.constantFrom('linux')),
  arch: orNull(fc.constantFrom('amd64', 'arm64')),
  country: orNull(fc.constantFrom('DE', 'FR', 'unknown')),
  network: orNull(fc.constantFrom('n1', 'n2', LONG)),
  network_kind: orNull(fc.constantFrom('cloud', 'isp')),
  signed_in: yes,
})
/** An origin with enough requests for a reading of its behaviour, up to the days that are not over. */
const poller = fc
  .record({ like: outcome, times: fc.integer({ min: 5, max: 8 }), step: fc.constantFrom(300, 30_000, 86_400) })
  .map(({ like, times, step }) =>
    Array.from({ length: times }, (_, i): typeof like => {
      const second = like.at.day * 86_400 + like.at.second + i * step
      const day = Math.min(Math.floor(second / 86_400), DAYS - 1)
      return { ...like, what: 'invocation', at: { day, second: second % 86_400 } }
    }),
  )
const some = fc.array(outcome, { minLength: 60, maxLength: 60, size: 'max' })
const pollers = fc.array(poller, { minLength: 3, maxLength: 3 })
const history = fc.tuple(some, pollers).map(([all, others]) =>
  [...all, ...others.flat()].map(({ at: { day, second }, ...one }, i) => ({
    id: String(i),
    at: new Date(Date.parse(addDays(FIRST, day)) + second * 1_000).toISOString(),
    ...one,
  })),
)
type History = typeof history extends fc.Arbitrary<infer T> ? T : never

const day = fc.integer({ min: -3, max: DAYS + 3 }).map((n) => addDays(FIRST, n))
const period = fc.oneof(
  fc.constantFrom('2026', '2026-10', 'every monday of 2026', 'last-28-days').map((one) => ({ period: one })),
  // A period may end after today, but not begin after it.
  fc
    .tuple(day, day)
    .map(([one, other]) => ({ since: [one, other, TODAY].sort()[0] ?? one, until: one < other ? other : one })),
)
const filter = fc.constantFrom<Record<string, string>>(
  {},
  {},
  { repository: 'a' },
  { repository: 'team/*' },
  { registry: 'one.example' },
  { registry: 'nowhere.example' },
  { country: 'DE,unknown' },
  { signed_in: 'anonymous' },
  { month: '2026-10' },
  { weekday: '3' },
  { repository: 'a', client: 'docker' },
  { behaviour: 'insufficient' },
)
/** Queries, most of which summaries can answer. */
const groups = fc
  .uniqueArray(fc.constantFrom(...DIMENSION_NAMES.filter((name) => name !== 'hour'), 'day', 'month', 'registry'), {
    maxLength: 2,
  })
  .map((names) => ({ group_by: names.join() }))
const question = fc
  .record({ period, filter, groups, compare: yes, limit: fc.constantFrom('2', '10000') })
  .map(({ period: when, filter: only, groups: by, compare, limit }): PullsQuery =>
    parsePullsQuery(
      {
        measures: MEASURE_NAMES.join(),
        limit,
        ...(by.group_by !== '' && by),
        ...when,
        ...only,
        ...(compare && { compare: 'previous' }),
      },
      NOW,
    ),
  )

const usesReadings = ({ groupBy, filters }: PullsQuery): boolean =>
  [...groupBy, ...filters.map((one) => one.dimension)].some((name) => dimension(name).isReading)

describe.each(STORE_PAIRS)('summaries of days that are over, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  const answerTo = async (asked: PullsQuery): Promise<PullsAnswer> =>
    queryPulls(stores.database.sql, asked, { rotation: 'never', stamps: {} })
  const answersTo = async (queries: readonly PullsQuery[]): Promise<PullsAnswer[]> => {
    const answers = []
    for (const one of queries) answers.push(await answerTo(one))
    return answers
  }
  const keep = async (outcomes: History): Promise<void> => {
    await stores.clear()
    await keepOutcomes(stores.database, outcomes)
    // One registry is behind the other.
    await sql`
      insert into pulls.registries (registry, folded_to)
      values ('one.example', '2026-11-04T12:00:00Z'), ('two.example', '2026-11-02T12:00:00Z')
    `.execute(stores.database.sql)
  }
  const rolled = async (): Promise<void> => rollUp({ database: stores.database, windows: WINDOWS })
  const rowsOf = async (table: string): Promise<unknown[]> => {
    const { rows } = await sql<{ row: unknown }>`
      select to_jsonb(t) as row from ${sql.table(table)} t order by to_jsonb(t)::text
    `.execute(stores.database.sql)
    return rows.map(({ row }) => row)
  }
  const unmark = async (): Promise<void> => {
    await sql`delete from pulls.summarized`.execute(stores.database.sql)
  }

  test('answer any query as single outcomes and days do', async () => {
    const queries = fc.array(question, { minLength: 15, maxLength: 15, size: 'max' })
    await fc.assert(
      fc.asyncProperty(history, queries, async (outcomes, asked) => {
        await keep(outcomes)
        let expected = await answersTo(asked)
        await rolled()
        const found = await answersTo(asked)
        for (const [i, one] of asked.entries()) {
          // The behaviour of origins is read when a day is rolled up.
          if (!usesReadings(one)) expect(found[i]).toEqual(expected[i])
          else if (one.filters.length === 0) expect(found[i]?.total).toEqual(expected[i]?.total)
        }
        expected = found
        await summarizePulls(stores.database)
        expect(await answersTo(asked)).toEqual(expected)
        await expireOutcomes(stores.database, 1, NOW)
        expect(await answersTo(asked)).toEqual(expected)
      }),
      runsOn(stores.database, { postgresql: 4, pglite: 2 }),
    )
  })

  describe('of one history', () => {
    const [outcomes = []] = fc.sample(history, EXAMPLE)
    const everything = [...SUMMARIZED, 'registry', 'month', 'day'].flatMap((name) =>
      ['2026', '2026-10', 'every monday of 2026-10'].map((when) =>
        parsePullsQuery({ measures: MEASURE_NAMES.join(), period: when, group_by: name }, NOW),
      ),
    )
    beforeAll(async () => {
      await keep(outcomes)
      await rolled()
      await summarizePulls(stores.database)
    })

    test('exist for each whole day and month, and are read without days', async () => {
      const expected = await answersTo(everything)
      const { rows } = await sql<{ registry: string; grain: string; first: string; last: string; count: string }>`
        select registry, grain, min(start)::text as first, max(start)::text as last, count(*) from pulls.summarized
        group by registry, grain order by registry, grain
      `.execute(stores.database.sql)
      expect(rows).toMatchObject([
        { grain: 'day', last: '2026-11-03' },
        { grain: 'month', first: '2026-09-01', last: '2026-10-01', count: '2' },
        { grain: 'day', last: '2026-11-01' },
        { grain: 'month', first: '2026-09-01', last: '2026-10-01', count: '2' },
      ])
      await sql`create table pulls.aside as select * from pulls.days`.execute(stores.database.sql)
      await sql`delete from pulls.days`.execute(stores.database.sql)
      expect(await answersTo(everything)).toEqual(expected)
      await sql`insert into pulls.days select * from pulls.aside`.execute(stores.database.sql)
      await sql`drop table pulls.aside`.execute(stores.database.sql)
    })

    test('have the sketches of all members', async () => {
      const { rows } = await sql<{ origins: Buffer; sources: Buffer; pulled: string[] | null; asked: string[] | null }>`
        select s.origins, s.sources, (
          select array_agg(o.origin) from pulls.outcomes o
          where o.registry = s.registry and o.repository = s.value and o.what = 'invocation' and o.gets > 0
            and date_trunc(s.grain, o.at at time zone 'UTC') = s.start
        ) as pulled, (
          select array_agg(o.origin) from pulls.outcomes o
          where o.registry = s.registry and o.repository = s.value and o.what = 'invocation'
            and date_trunc(s.grain, o.at at time zone 'UTC') = s.start
        ) as asked
        from pulls.summaries s where s.dimension = 'repository'
      `.execute(stores.database.sql)
      expect(rows.length).toBeGreaterThan(30)
      const sketchOf = (members: string[] | null): Buffer => {
        const sketch = new HyperLogLog()
        for (const member of members ?? []) sketch.add(member)
        sketch.count()
        return Buffer.from(sketch.toBytes())
      }
      for (const { origins, sources, pulled, asked } of rows) {
        expect(origins.equals(sketchOf(pulled))).toBe(true)
        expect(sources.equals(sketchOf(asked))).toBe(true)
      }
    })

    test('are the same when they are rebuilt, also by two processes at once', async () => {
      const first = [await rowsOf('pulls.summaries'), await rowsOf('pulls.summarized')]
      await summarizePulls(stores.database)
      expect([await rowsOf('pulls.summaries'), await rowsOf('pulls.summarized')]).toEqual(first)
      await unmark()
      await Promise.all([summarizePulls(stores.database), summarizePulls(stores.database)])
      expect([await rowsOf('pulls.summaries'), await rowsOf('pulls.summarized')]).toEqual(first)
    })

    test('contain no repository that was erased, both at once and after they are rebuilt', async () => {
      const marks = await rowsOf('pulls.summarized')
      const where = { repository: 'team/rare', registries: ['one.example'] }
      expect((await erase(stores.database, where)).days).toBeGreaterThan(0)
      const { rows: left } = await sql`
        select from pulls.summaries where registry = 'one.example' and dimension = 'repository' and value = 'team/rare'
      `.execute(stores.database.sql)
      expect(left).toHaveLength(0)
      const kept = await rowsOf('pulls.summarized')
      expect(kept.length).toBeGreaterThan(40)
      expect(kept.length).toBeLessThan(marks.length)
      const atOnce = await answersTo(everything)
      await summarizePulls(stores.database)
      expect(await rowsOf('pulls.summarized')).toEqual(marks)
      expect(await answersTo(everything)).toEqual(atOnce)
      await unmark()
      expect(await answersTo(everything)).toEqual(atOnce)
    })
  })

  /** One pull on each of these days, and nothing else. */
  const keepPulls = async (days: readonly string[]): Promise<void> => {
    const [template] = fc.sample(history, EXAMPLE)[0] ?? []
    if (!template) throw new Error('no outcome was made')
    const one = { ...template, what: 'invocation' as const, gets: 1, registry: 'one.example' as const }
    await keep(days.map((on, i) => ({ ...one, id: String(i), repository: 'a', at: `${on}T12:00:00Z` })))
    await rolled()
    await summarizePulls(stores.database)
  }

  test('that are being built while their repository is erased are rebuilt', async () => {
    const { jobs, engine, sql: other } = stores.database
    await keepPulls(['2026-10-05'])
    await unmark()
    let erasing: Promise<unknown> | undefined
    await jobs.transaction().execute(async (tx) => {
      // As in the job, the rows are written and marked, but not committed yet.
      await sql`lock table pulls.summarized in share row exclusive mode`.execute(tx)
      await sql`insert into pulls.summarized values ('one.example', 'day', '2026-10-05')`.execute(tx)
      // The embedded database has one connection: nothing goes on beside a transaction.
      if (engine === 'pglite') return
      erasing = erase(stores.database, { repository: 'a' })
      await eventually('the erasure waits', async () => {
        const { rows } = await sql`
          select from pg_locks l join pg_database d on d.oid = l.database
          where not l.granted and d.datname = current_database()
        `.execute(other)
        return rows.length > 0
      })
    })
    await (erasing ?? erase(stores.database, { repository: 'a' }))
    expect(await rowsOf('pulls.summarized')).toEqual([])
    expect(await rowsOf('pulls.summaries')).toEqual([])
    const { total } = await answerTo(parsePullsQuery({ measures: 'pulls,unique_origins', period: '2026' }, NOW))
    expect(total).toEqual({ pulls: 0, unique_origins: 0 })
  })

  describe('in short steps and in one transaction', () => {
    /** Each day has more rows of one repository, and a month more repositories, than are read at once. */
    beforeAll(async () => {
      await keepPulls(['2026-10-01', '2026-10-02', '2026-10-31'])
      await sql`
        insert into pulls.days select d.* from pulls.days o cross join generate_series(1, 1200) n
          cross join lateral jsonb_populate_record(o, jsonb_build_object(
            'repository', case when n > 1050 then 'heavy' else 'app' || n end, 'tag', n::text, 'country', 'c' || n % 7, 'pulls', n
          )) d
        where n <= 1050 or o.day = '2026-10-01'
      `.execute(stores.database.sql)
      await sql`
        insert into pulls.days select d.* from pulls.days o cross join generate_series(1, 10) n
          cross join lateral jsonb_populate_record(o, jsonb_build_object('country', 'd' || n)) d
        where o.repository = 'heavy'
      `.execute(stores.database.sql)
    })
    const made = async (engine: 'pglite' | 'postgresql', jobs = stores.database.jobs): Promise<unknown[]> => {
      await unmark()
      await summarizePulls({ jobs, engine })
      return [await rowsOf('pulls.summaries'), await rowsOf('pulls.summarized')]
    }

    test('are the same', async () => {
      const expected = await made('postgresql')
      expect(await made('pglite')).toEqual(expected)
      expect(await made('postgresql')).toEqual(expected)
    })

    test('let other statements run before a day is finished', async () => {
      await unmark()
      const state = { isMade: false }
      const making = summarizePulls({ jobs: stores.database.jobs, engine: 'pglite' }).finally(
        () => (state.isMade = true),
      )
      let answers = 0
      for (; !state.isMade; answers++) await sql`select 1`.execute(stores.database.sql)
      await making
      // More than there are days and months, and transactions for them.
      expect(answers).toBeGreaterThan(50)
    })

    /** Builds all summaries in short steps; `happens` runs before the third statement that writes summaries of a grain. */
    const madeWhile = async (grain: 'day' | 'month', happens: () => Promise<unknown>): Promise<void> => {
      await unmark()
      let writes = 0
      const jobs = seeing(stores.database.jobs, async (execute, text, parameters) => {
        if (text.includes('insert into pulls.summaries') && parameters[1] === grain && ++writes === 3) await happens()
        return execute()
      })
      await summarizePulls({ jobs, engine: 'pglite' })
      expect(writes).toBeGreaterThan(3)
    }
    const rowsAndMarks = async (): Promise<unknown[]> => [
      await rowsOf('pulls.summaries'),
      await rowsOf('pulls.summarized'),
    ]

    test('are not marked if a row of their day changed meanwhile, and are rebuilt', async () => {
      const expected = await made('postgresql')
      const change = async (by: number): Promise<void> => {
        await sql`update pulls.days set pulls = pulls + ${by} where day = '2026-10-01' and repository = 'a'`.execute(
          stores.database.sql,
        )
      }
      await madeWhile('day', async () => change(1))
      const marked = await rowsOf('pulls.summarized')
      expect(marked).not.toContainEqual(expect.objectContaining({ start: '2026-10-01' }))
      expect(marked).toContainEqual(expect.objectContaining({ grain: 'day', start: '2026-10-31' }))
      const { rows } = await sql`select from pulls.summaries where grain = 'day' and start = '2026-10-01'`.execute(
        stores.database.sql,
      )
      expect(rows).toHaveLength(0)
      await change(-1)
      await summarizePulls({ jobs: stores.database.jobs, engine: 'pglite' })
      expect(await rowsAndMarks()).toEqual(expected)
    })

    test('are not marked if their rows were moved to another file meanwhile, and are rebuilt', async () => {
      const expected = await made('postgresql')
      await madeWhile('month', async () => sql`vacuum full pulls.summaries`.execute(stores.database.sql))
      expect(await rowsOf('pulls.summarized')).not.toContainEqual(expect.objectContaining({ grain: 'month' }))
      await summarizePulls({ jobs: stores.database.jobs, engine: 'pglite' })
      expect(await rowsAndMarks()).toEqual(expected)
    })

    test('are not marked if a day of their month lost its mark, or their registry was removed', async () => {
      const expected = await made('postgresql')
      await madeWhile('month', async () =>
        sql`delete from pulls.summarized where start = '2026-10-02'`.execute(stores.database.sql),
      )
      expect(await rowsOf('pulls.summarized')).not.toContainEqual(expect.objectContaining({ grain: 'month' }))
      await summarizePulls({ jobs: stores.database.jobs, engine: 'pglite' })
      expect(await rowsAndMarks()).toEqual(expected)

      await sql`create table pulls.aside as select * from pulls.registries`.execute(stores.database.sql)
      await madeWhile('day', async () => sql`delete from pulls.registries`.execute(stores.database.sql))
      const marked = await rowsOf('pulls.summarized')
      for (const start of ['2026-10-01', '2026-10-31'])
        expect(marked).not.toContainEqual(expect.objectContaining({ start }))
      await sql`insert into pulls.registries select * from pulls.aside`.execute(stores.database.sql)
      await sql`drop table pulls.aside`.execute(stores.database.sql)
    })
  })

  test('answer a day of any time zone with the UTC day once its detail is deleted', async () => {
    await keepPulls(['2026-10-01', '2026-10-31'])
    await expireOutcomes(stores.database, 1, NOW)
    const ownDays = [
      ['Asia/Tokyo', '2026-11-05'],
      ['America/New_York', '2026-11-04'],
    ] as const
    for (const [tz, since] of ownDays) {
      const { rows, notes } = await answerTo(
        parsePullsQuery({ measures: 'pulls', group_by: 'day', period: '2026-10', tz }, NOW),
      )
      expect(notes).toEqual([`Days of ${tz} are known since ${since}: earlier days are UTC days.`])
      expect(rows).toEqual([
        { day: '2026-10-01', pulls: 1 },
        { day: '2026-10-31', pulls: 1 },
      ])
      // Of the day on which single invocations begin, Tokyo lacks its first nine hours.
      const first = await answerTo(parsePullsQuery({ measures: 'pulls', since: '2026-11-04', tz }, NOW))
      expect(first.notes).toHaveLength(since === '2026-11-04' ? 0 : 1)
    }
    const hours = parsePullsQuery({ measures: 'pulls', group_by: 'hour', period: '2026-10' }, NOW)
    expect(await answerTo(hours)).toMatchObject({
      rows: [{ hour: '2026-10-01T00:00' }, { hour: '2026-10-31T00:00' }],
      notes: ['Hours are known since 2026-11-04: an earlier UTC day is shown completely at its first hour.'],
    })
    expect((await answerTo(parsePullsQuery({ group_by: 'hour', period: '2026-11-05' }, NOW))).notes).toEqual([])
    expect((await answerTo(parsePullsQuery({ group_by: 'day', period: '2026-10' }, NOW))).notes).toEqual([])
  })
})
