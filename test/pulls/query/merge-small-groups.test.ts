import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import { summarizePulls } from '../../../src/pulls/roll-up/summarize.js'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryBehaviours } from '../../../src/pulls/query/query-behaviours.js'
import { queryPullers, type PullersAnswer } from '../../../src/pulls/query/query-pullers.js'
import { queryPulls, type PullsAnswer } from '../../../src/pulls/query/query-pulls.js'
import { DIMENSION_NAMES } from '../../../src/pulls/model/dimensions.js'
import { keepOutcomes, OUTCOME } from '../../servers/outcomes.js'
import { runsOn } from '../../servers/runs.js'
import { openServerStores, STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const NOW = new Date('2026-11-05T12:00:00Z')
const SUMS = ['invocations', 'pulls', 'failed_requests', 'bytes'] as const

const outcome = fc.record({
  what: fc.constantFrom('invocation', 'invocation', 'invocation', 'failure'),
  day: fc.integer({ min: 1, max: 4 }),
  repository: fc.constantFrom('a', 'a', 'team/b', 'team/c', 'other'),
  origin: fc.nat(14).map((n) => `origin${n}`),
  gets: fc.nat(1),
  bytes: fc.nat(100),
  tag: fc.constantFrom('1', '1', '2', 'other'),
  client: fc.constantFrom('docker', 'containerd'),
  kind: fc.constantFrom('runtime', 'scanner'),
})
type Outcome = typeof outcome extends fc.Arbitrary<infer T> ? Partial<T> : never
const history = fc.array(outcome, { minLength: 0, maxLength: 60, size: 'max' })
const groupBy = fc
  .uniqueArray(fc.constantFrom(...DIMENSION_NAMES, 'day', 'repository', 'tag', 'client'), { maxLength: 3 })
  .map((names) => names.join())

describe.each(STORE_PAIRS)('numbers of at least so many origins, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  const keep = async (outcomes: readonly Outcome[]): Promise<void> => {
    await stores.clear()
    const rows = outcomes.map(({ day = 1, ...one }, i) => ({
      ...{ ...OUTCOME, ...one },
      ...{ id: String(i), at: `2026-11-0${day}T10:00:00Z` },
    }))
    await keepOutcomes(stores.database, rows)
    await sql`
      insert into pulls.registries (registry, folded_to) values ('registry.example', '2026-11-04T12:00:00Z')
    `.execute(stores.database.sql)
  }
  const answerTo = async (minimumGroupSize: number, parameters: Record<string, string> = {}): Promise<PullsAnswer> =>
    queryPulls(
      stores.database.sql,
      parsePullsQuery({ measures: [...SUMS, 'unique_sources'].join(), period: '2026-11', ...parameters }, NOW),
      { rotation: 'never', stamps: {}, minimumGroupSize },
    )

  test('add up to the numbers without the limit, and each comes from enough origins', async () => {
    const question = fc.record({ group_by: groupBy, minimum: fc.integer({ min: 2, max: 9 }) })
    const queryCases = fc.array(question, { minLength: 8, maxLength: 8, size: 'max' })
    await fc.assert(
      fc.asyncProperty(history, queryCases, async (outcomes, queries) => {
        await keep(outcomes)
        for (const work of [async () => Promise.resolve(), rolled]) {
          await work()
          for (const { group_by, minimum } of queries) {
            const parameters = group_by === '' ? {} : { group_by }
            const { total } = await answerTo(0, parameters)
            const limited = await answerTo(minimum, parameters)
            const isShown = (total.unique_sources ?? 0) >= minimum
            expect(limited.total).toEqual(isShown ? total : {})
            expect(limited.rows.length > 0).toBe(isShown)
            for (const row of limited.rows) expect(row.unique_sources).toBeGreaterThanOrEqual(minimum)
            if (!isShown) continue
            for (const name of SUMS)
              expect(limited.rows.reduce((sum, row) => sum + (row[name] ?? 0), 0)).toBe(total[name])
            const names = limited.rows.map((row) =>
              group_by
                .split(',')
                .map((one) => row[one as 'day'])
                .join(),
            )
            expect(new Set(names).size).toBe(names.length)
          }
        }
      }),
      runsOn(stores.database, { postgresql: 4, pglite: 2 }),
    )
  })
  const rolled = async (): Promise<void> => {
    await rollUp({ database: stores.database, windows: WINDOWS })
    await summarizePulls(stores.database)
  }
  const of = (origins: number, rest: Outcome): Outcome[] =>
    Array.from({ length: origins }, (_none, i) => ({ ...rest, origin: `${rest.repository ?? ''}${i}` }))

  test('merge small groups of a time, and times that are too small, and say so', async () => {
    await keep([
      ...of(4, { repository: 'a', day: 1 }),
      ...of(2, { repository: 'team/b', day: 1 }),
      ...of(2, { repository: 'team/c', day: 1 }),
      ...of(3, { repository: 'a', day: 2 }),
      ...of(5, { repository: 'team/b', day: 2 }),
      ...of(1, { repository: 'team/c', day: 2 }),
      ...of(1, { repository: 'a', day: 3 }),
      ...of(2, { repository: 'team/b', day: 4 }),
    ])
    const { rows, notes } = await answerTo(3, { group_by: 'day,repository', measures: 'unique_sources,pulls' })
    expect(rows).toEqual([
      { day: '2026-11-01', repository: 'a', unique_sources: 4, pulls: 4 },
      { day: '2026-11-01', repository: 'other', unique_sources: 4, pulls: 4 },
      // The merged group had one origin: the smallest remaining group joins.
      { day: '2026-11-02', repository: 'team/b', unique_sources: 5, pulls: 5 },
      { day: '2026-11-02', repository: 'other', unique_sources: 4, pulls: 4 },
      { day: 'other', repository: 'other', unique_sources: 3, pulls: 3 },
    ])
    expect(notes).toEqual([
      'Groups of fewer than 3 origins, including origins that only check, are merged into other (pulls_least_pullers).',
    ])
    const first = await answerTo(3, { group_by: 'repository', measures: 'pulls', limit: '1' })
    expect(first).toMatchObject({ rows: [{ repository: 'other', pulls: 11 }], total: { pulls: 20 }, is_cut: true })
  })

  test('are left out if all origins are too few, in the previous period as well', async () => {
    await keep(of(2, {}))
    const answer = await answerTo(3, { group_by: 'repository', period: '2026-11', compare: 'previous' })
    expect(answer).toMatchObject({ rows: [], total: {}, previous: { total: {} }, is_cut: false })
    expect(answer.notes).toEqual([
      'Missing numbers come from fewer than 3 origins, including origins that only check (pulls_least_pullers).',
    ])
    expect((await answerTo(3)).rows).toEqual([])
    expect((await answerTo(2)).rows).toMatchObject([{ pulls: 2 }])
  })

  test('never show single origins', async () => {
    await keep([...of(6, { kind: 'runtime' }), { origin: 'scanner', kind: 'scanner' }])
    const pullers = async (top: number, minimumGroupSize: number): Promise<PullersAnswer> =>
      queryPullers(stores.database.sql, parsePullsQuery({ period: '2026-11' }, NOW), top, {
        rotation: 'never',
        stamps: {},
        minimumGroupSize,
      })
    const note =
      'Single origins are not shown, nor numbers without a group of fewer than 3 origins (pulls_least_pullers).'
    const period = { since: '2026-11-01', until: '2026-11-30', time_zone: 'UTC' }
    const all = { period, pulls: 7, pullers: 7, median_pulls: 1, mean_pulls: 1 }
    // The remainder would reveal two origins, or the scanner alone.
    expect(await pullers(2, 3)).toEqual({ ...all, top: [], notes: [note] })
    expect(await pullers(3, 3)).toMatchObject({ top: [], top_share: 3 / 7, without_top: { pulls: 4, pullers: 4 } })
    expect(await pullers(5, 3)).toEqual({ ...all, top: [], notes: [note] })
    expect(await pullers(2, 8)).toMatchObject({ top: [], notes: [expect.stringMatching(/fewer than 8/)] })
    expect(await pullers(2, 8)).not.toHaveProperty('pulls')
    expect((await pullers(2, 0)).top).toHaveLength(2)
    await expect(
      queryBehaviours(stores.database.sql, { now: NOW, days: 7, limit: 10 }, { minimumGroupSize: 3 }),
    ).rejects.toThrow(/^pulls_least_pullers is 3, and this answer would show single origins; use group_by=behaviour/)
  })
})

test('groups that are all large enough are refused if there are too many for memory', async () => {
  const { database, close } = await openServerStores()
  const outcome = { ...OUTCOME, at: '2026-11-01T10:00:00Z' }
  await sql`
    insert into pulls.outcomes
    select o.* from generate_series(1, 200002) n cross join lateral jsonb_populate_record(null::pulls.outcomes,
      ${JSON.stringify(outcome)}::jsonb || jsonb_build_object('id', n::text, 'origin', (n % 2)::text, 'repository', 'a' || n / 2)
    ) o
  `.execute(database.sql)
  await sql`insert into pulls.registries (registry, folded_to) values ('registry.example', ${NOW})`.execute(
    database.sql,
  )
  const question = parsePullsQuery({ measures: 'pulls', group_by: 'repository', period: '2026-11' }, NOW)
  await expect(
    queryPulls(database.sql, question, { rotation: 'never', stamps: {}, minimumGroupSize: 2 }),
  ).rejects.toThrow(/^group_by: expected at most 100000 groups, because pulls_least_pullers is set/)
  await close()
})
