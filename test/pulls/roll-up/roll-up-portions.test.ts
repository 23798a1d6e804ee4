import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { erase } from '../../../src/pulls/roll-up/erase.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import { COUNTED_NUMBERS, COUNTED_SKETCHES } from '../../../src/pulls/model/counted.js'
import { pairsIn } from '../../../src/storage/sketches/hyperloglog/pairs.js'
import { Union } from '../../../src/storage/sketches/hyperloglog/union.js'
import { failAt } from '../../servers/fail-at.js'
import { keepOutcomes, OUTCOME } from '../../servers/outcomes.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const START = Date.parse('2026-11-10T00:00:00Z')
const DAYS = 3
const SMALL = { most: 3, remembered: 45 }
type Outcome = { id: string; repository: string; origin: string }

const COUNTED: readonly string[] = [...COUNTED_NUMBERS, ...COUNTED_SKETCHES]

/** The sums and merged sketches of all rows with the same values otherwise. */
const addedUp = (rows: readonly Record<string, unknown>[]): unknown[] => {
  const sums = new Map<string, { numbers: number[]; unions: Union[] }>()
  for (const row of rows) {
    const key = JSON.stringify(Object.entries(row).filter(([name]) => !COUNTED.includes(name)))
    const sum = sums.get(key) ?? {
      numbers: COUNTED_NUMBERS.map(() => 0),
      unions: COUNTED_SKETCHES.map(() => new Union()),
    }
    sums.set(key, sum)
    for (const [i, name] of COUNTED_NUMBERS.entries()) sum.numbers[i] = (sum.numbers[i] ?? 0) + Number(row[name])
    for (const [i, name] of COUNTED_SKETCHES.entries()) sum.unions[i]?.raise(pairsIn(row[name] as Uint8Array))
  }
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { numbers, unions }]) => [
      key,
      numbers,
      unions.map((union) => Buffer.from(union.toBytes()).toString('hex')),
    ])
}

const outcome = fc.record({
  repository: fc.constantFrom('a', 'a', 'a', 'b'),
  origin: fc.constantFrom('o1', 'o2', 'o3', 'o4', 'o5', 'o6'),
  // Some at the same time, and some at the border of a day.
  minute: fc.oneof(fc.nat(DAYS * 1_440 - 1), fc.constantFrom(0, 60, 120, 1_440, 1_439)),
  what: fc.constantFrom('invocation', 'invocation', 'invocation', 'artifact', 'orphan', 'failure'),
  tag: fc.constantFrom('1', '2', null),
  client: fc.constantFrom('docker', 'curl'),
  gets: fc.nat(1),
  network_kind: fc.constantFrom('cloud', null),
})
const outcomes = fc.array(outcome, { minLength: 5, maxLength: 25 }).map((all) =>
  all.map(({ minute, ...one }, i): Outcome => ({
    ...OUTCOME,
    ...one,
    ...{ id: `${(i * 7) % 10}-${i}`, at: new Date(START + minute * 60_000).toISOString() },
    ...{ bytes: i, digest: one.tag === null ? null : `d${i % 2}` },
  })),
)

describe.each(STORE_PAIRS)('days that are rolled up in portions, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  const begin = async (all: readonly Outcome[]): Promise<void> => {
    await stores.clear()
    await keepOutcomes(stores.database, all)
    await sql`insert into pulls.registries (registry, folded_to) values ('registry.example', '2026-11-20T00:00:00Z')`.execute(
      stores.database.sql,
    )
  }
  const rolled = async (sizes?: typeof SMALL, database = stores.database): Promise<void> =>
    rollUp({ database, windows: WINDOWS, ...(sizes && { sizes }) })
  const result = async (): Promise<unknown> => {
    const db = stores.database.sql
    const { rows: days } = await sql<Record<string, unknown>>`select *, day::text as day from pulls.days`.execute(db)
    const { rows: readings } = await sql`
      select to_jsonb(b) as row from pulls.behaviours b order by day, repository, origin
    `.execute(db)
    const { rows: borders } = await sql`select rolled_to::text as border from pulls.registries`.execute(db)
    const { rows: rolling } = await sql`select * from pulls.rolling_days`.execute(db)
    return { days: addedUp(days), readings, borders, rolling }
  }
  const rows = async (table: string): Promise<number> => {
    const {
      rows: [count],
    } = await sql<{ rows: number }>`
      select count(*)::int as rows from ${sql.table(table)}
    `.execute(stores.database.sql)
    return count?.rows ?? 0
  }
  const many = (length: number): Outcome[] =>
    Array.from({ length }, (_one, i) => ({
      ...{ ...OUTCOME, id: String(i), origin: `o${i % 3}`, tag: String(i % 2) },
      at: new Date(START + i * 600_000).toISOString(),
    }))

  test('have the numbers of days that are rolled up at once, also if a run failed at any moment, or was followed by an erasure', async () => {
    await fc.assert(
      fc.asyncProperty(outcomes, fc.integer({ min: 1, max: 120 }), fc.boolean(), async (all, failing, isErased) => {
        const erased = isErased ? all.filter(({ origin }) => origin !== 'o1') : all
        await begin(erased)
        await rolled()
        const expected = await result()
        await begin(all)
        const database = failAt(stores.database, failing)
        await rolled(SMALL, database).catch(() => undefined)
        if (isErased) {
          // Days that were answered from their rows keep their numbers.
          await sql`update pulls.registries set rolled_to = '-infinity'`.execute(stores.database.sql)
          await erase(stores.database, { origin: 'o1' })
        }
        // The first of them may find that a day has lost outcomes.
        for (let times = 0; times < DAYS + 1; times++) await rolled(SMALL)
        expect(await result()).toEqual(expected)
      }),
      runsOn(stores.database, { postgresql: 8, pglite: 4 }),
    )
  })

  test('take several rows for what one row would contain, and one transaction only if they are small', async () => {
    await begin(many(20))
    await rolled(SMALL)
    expect(await rows('pulls.days')).toBeGreaterThan(10)
    await begin(many(20))
    await rolled({ ...SMALL, most: 20 })
    expect(await rows('pulls.days')).toBe(2)
  })

  test('are continued, not restarted, after a run that failed', async () => {
    await begin(many(60))
    await expect(rolled(SMALL, failAt(stores.database, 4, 'insert into pulls.days'))).rejects.toThrow(AggregateError)
    const rolling = async (): Promise<unknown> =>
      (await sql`select number, stage, read_to_id from pulls.rolling_days`.execute(stores.database.sql)).rows
    expect(await rolling()).toEqual([{ number: expect.anything(), stage: 'rows', read_to_id: '8' }])
    await expect(rolled(SMALL, failAt(stores.database, 2, 'insert into pulls.days'))).rejects.toThrow(AggregateError)
    expect(await rolling()).toMatchObject([{ stage: 'rows', read_to_id: '11' }])
  })

  test('are counted once when two processes roll them up at once', async () => {
    const all = many(80)
    await begin(all)
    await rolled()
    const expected = await result()
    await begin(all)
    await Promise.all([rolled(SMALL), rolled(SMALL)])
    await rolled(SMALL)
    expect(await result()).toEqual(expected)
  })

  test('are rolled up again in portions as they were', async () => {
    await begin(many(80))
    await rolled(SMALL)
    const first = await result()
    await sql`update pulls.registries set rolled_to = '-infinity'`.execute(stores.database.sql)
    await rolled(SMALL)
    expect(await result()).toEqual(first)
  })
})
