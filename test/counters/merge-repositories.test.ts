import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { AT_ONCE, mergeRepositories } from '../../src/counters/merge-repositories.js'
import type { Database } from '../../src/storage/sql/database.js'
import { LIFETIMES, RULES } from '../servers/counting.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

describe.each(STORE_PAIRS)('repositories of an alias, in %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => stores.clear())
  afterAll(async () => stores.close())

  /** Makes repositories app-0000, app-0001 and so on, first seen at an hour. */
  const create = async (registry: string, count: number, hour: string): Promise<void> => {
    await sql`
      insert into repositories (registry, name, first_at, first_event, if_first, if_known)
      select ${registry}, 'app-' || lpad(n::text, 4, '0'), ${`2026-11-20T${hour}:00:00Z`}::timestamptz, gen_random_uuid(),
        '[]'::jsonb, '[]'::jsonb
      from generate_series(0, ${count - 1}::int) n
    `.execute(stores.database.sql)
  }
  const countsOf = async (): Promise<Record<string, number>> => {
    const { rows } = await sql<{ registry: string; count: number }>`
      select registry, count(*)::int as count from repositories group by registry order by registry
    `.execute(stores.database.sql)
    return Object.fromEntries(rows.map(({ registry, count }) => [registry, count]))
  }
  /** Merges, and answers how many repositories of aliases each transaction changed. */
  const merged = async (aliases: [string, string][]): Promise<number[]> => {
    const left = async (): Promise<number> => {
      const counts = await countsOf()
      return aliases.reduce((sum, [alias]) => sum + (counts[alias] ?? 0), 0)
    }
    const steps: number[] = []
    const database: Database = {
      ...stores.database,
      transaction: async (work) => {
        const before = await left()
        const done = await stores.database.transaction(work)
        steps.push(before - (await left()))
        return done
      },
    }
    await mergeRepositories(
      { database, sketches: stores.sketches, rules: RULES, lifetimes: LIFETIMES },
      new Map(aliases),
    )
    return steps
  }

  test.each([
    ['that its registry does not know', 0],
    ['of which its registry knows some', 700],
  ])('%s move in steps of a bounded size', async (_which, known) => {
    await create('alias', 1_050, '10')
    if (known > 0) await create('name', known, '11')
    const steps = await merged([['alias', 'name']])
    expect(Math.max(...steps)).toBeLessThanOrEqual(AT_ONCE)
    expect(await countsOf()).toEqual({ name: 1_050 })
    // The earlier first event stays.
    const { rows } =
      await sql`select from repositories where extract(hour from first_at at time zone 'UTC') <> 10`.execute(
        stores.database.sql,
      )
    expect(rows).toHaveLength(0)
  })

  test('of several aliases are one, and the earliest first event stays', async () => {
    await create('b', 250, '12')
    await create('a', 250, '13')
    await create('c', 10, '09')
    const steps = await merged([
      ['a', 'name'],
      ['b', 'name'],
      ['c', 'name'],
    ])
    expect(Math.max(...steps)).toBeLessThanOrEqual(AT_ONCE)
    expect(await countsOf()).toEqual({ name: 250 })
    const { rows } = await sql`
      select extract(hour from first_at at time zone 'UTC')::int as hour, count(*)::int as count from repositories
      group by 1 order by 1
    `.execute(stores.database.sql)
    expect(rows).toEqual([
      { hour: 9, count: 10 },
      { hour: 12, count: 240 },
    ])
  })

  test('of which there are none take no lock', async () => {
    await create('name', 3, '10')
    expect(await merged([['alias', 'name']])).toEqual([])
  })
})
