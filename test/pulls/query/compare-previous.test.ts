import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryPulls, type PullsAnswer } from '../../../src/pulls/query/query-pulls.js'
import { keepOutcomes, OUTCOME } from '../../servers/outcomes.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const NOW = new Date('2026-11-05T12:00:00Z')

const outcome = fc.record({
  month: fc.constantFrom(9, 10),
  repository: fc.constantFrom('a', 'a*', 'team/b', 'team,c'),
  tag: fc.constantFrom('1', '2', null),
  origin: fc.constantFrom('x', 'y', 'z'),
  gets: fc.nat(1),
})
type Outcome = { month: number; repository: string; tag: string | null; origin: string; gets: number }

describe.each(STORE_PAIRS)('rows compared with the previous period, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  const keep = async (outcomes: readonly Outcome[]): Promise<void> => {
    await stores.clear()
    const rows = outcomes.map(({ month, ...one }, i) => ({
      ...{ ...OUTCOME, ...one },
      ...{ id: String(i), at: `2026-${month < 10 ? '0' : ''}${month}-03T10:00:00Z` },
    }))
    await keepOutcomes(stores.database, rows)
    await sql`
      insert into pulls.registries (registry, folded_to) values ('registry.example', ${NOW})
    `.execute(stores.database.sql)
  }
  const answerTo = async (parameters: Record<string, string>, minimumGroupSize = 0): Promise<PullsAnswer> =>
    queryPulls(
      stores.database.sql,
      parsePullsQuery({ measures: 'pulls,invocations,unique_sources', group_by: 'repository,tag', ...parameters }, NOW),
      { rotation: 'never', stamps: {}, minimumGroupSize },
    )

  test('have the same numbers as a query for that period', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(outcome, { maxLength: 30 }),
        fc.integer({ min: 1, max: 6 }),
        async (outcomes, limit) => {
          await keep(outcomes)
          const { rows: before } = await answerTo({ period: '2026-09' })
          const { rows, columns } = await answerTo({ period: '2026-10', compare: 'previous', limit: String(limit) })
          expect(columns.slice(-3)).toEqual(['previous_pulls', 'previous_invocations', 'previous_unique_sources'])
          for (const row of rows) {
            const had = before.find(({ repository, tag }) => repository === row.repository && tag === row.tag)
            expect(row).toMatchObject({
              previous_pulls: had?.pulls ?? 0,
              previous_invocations: had?.invocations ?? 0,
              previous_unique_sources: had?.unique_sources ?? 0,
            })
          }
        },
      ),
      runsOn(stores.database, { postgresql: 30, pglite: 10 }),
    )
  })

  test('have no previous numbers if times are grouped, or if there are too few pullers', async () => {
    const of = (month: number, repository: string, origins: string[]): Outcome[] =>
      origins.map((origin) => ({ month, repository, tag: '1', origin, gets: 1 }))
    await keep([
      ...of(9, 'a', ['x']),
      ...of(9, 'team/b', ['x', 'y']),
      ...of(10, 'a', ['x', 'y']),
      ...of(10, 'team/b', ['x', 'y']),
    ])
    const question = { period: '2026-10', compare: 'previous', measures: 'pulls' }
    expect((await answerTo({ ...question, group_by: 'month,repository' })).columns).toEqual([
      'month',
      'repository',
      'pulls',
    ])
    const whole = await queryPulls(stores.database.sql, parsePullsQuery(question, NOW), {
      rotation: 'never',
      stamps: {},
    })
    expect({ columns: whole.columns, rows: whole.rows }).toEqual({
      columns: ['pulls', 'previous_pulls'],
      rows: [{ pulls: 4, previous_pulls: 3 }],
    })
    expect((await answerTo({ ...question, group_by: 'repository' })).rows).toEqual([
      { repository: 'a', pulls: 2, previous_pulls: 1 },
      { repository: 'team/b', pulls: 2, previous_pulls: 2 },
    ])
    // Together with the one who pulled first, all of September is merged.
    expect((await answerTo({ ...question, group_by: 'repository' }, 2)).rows).toEqual([
      { repository: 'a', pulls: 2 },
      { repository: 'team/b', pulls: 2 },
    ])
  })
})
