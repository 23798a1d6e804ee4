import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { endOfPortion } from '../../src/inventory/questions/portions.js'
import type { Question } from '../../src/inventory/questions/question.js'
import { readPage } from '../../src/inventory/questions/read-page.js'
import { NOW } from '../servers/clock.js'
import { openServerStores, type TestStores } from '../servers/stores.js'

let stores: TestStores
beforeAll(async () => {
  stores = await openServerStores()
})
afterAll(async () => stores.close())

const ROWS = 1_000_000

/** A question about a million rows, none of which is in the answer, on a clock by which each statement takes some time. */
const aQuestion = (takesMs: number[]): { question: Question; clock: () => number; candidates: number[] } => {
  const candidates: number[] = []
  let time = 0
  const question: Question = {
    ...{ name: 'nothing', answers: '', definition: '', parameters: {}, columns: {}, key: ['id'] },
    portion: (_, after, size) => {
      candidates.push(size.candidates)
      const last = Number(after?.[0] ?? 0) + size.scanned
      return sql`select json_build_array(${last}::int) as key, ${last >= ROWS}::boolean as is_last`
    },
    statement: () => {
      time += takesMs.shift() ?? 1
      return sql`select where false`
    },
  }
  return { question, clock: () => time, candidates }
}
const page = { after: undefined, limit: 20, now: NOW }

test('a page ends after 10 s, and the next one continues after the scanned rows', async () => {
  const { question, clock, candidates } = aQuestion([900, 900, 8_300, 900])
  const { rows, next } = await readPage(stores.database.sql, question, {}, page, clock)
  expect({ rows, next, statements: candidates.length }).toEqual({
    ...{ rows: [], statements: 3 },
    next: [21 * 2 + 21 * 20 + 21 * 20],
  })
})

test('a portion after a short statement is larger, and after a long one smaller', async () => {
  const { question, clock, candidates } = aQuestion([100, 100, 100, 500, 1_500, 1_500, 10_000])
  await readPage(stores.database.sql, question, {}, page, clock)
  expect(candidates).toEqual([21, 84, 336, 336, 336, 42, 6])
})

test.each([
  ['costs as much as a statement may', 5, 3],
  ['is all that a statement may look at', 100, 5],
  ['costs more than a statement may', 0, 1],
])('a portion ends where it %s', async (_, cost, rows) => {
  const scan = sql`
    select 'a' as sort_key, 1 as repository_id, i::text as name, i::text as digest, json_build_array(i) as key, true as is_candidate
    from unnest(array[1, 2, 2, 3, 1]) with ordinality digests (cost, i)
  `
  const costs = { cost: sql`(array[1, 2, 2, 3, 1])[s.digest::int]`, direction: 'asc' } as const
  const portion = endOfPortion(scan, { candidates: 10, scanned: 10, cost }, costs)
  expect((await portion.execute(stores.database.sql)).rows).toEqual([{ key: [rows], is_last: rows === 5 }])
})
