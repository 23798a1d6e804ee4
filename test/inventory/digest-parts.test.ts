import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { weighRepositories } from '../../src/inventory/summary/ranges.js'
import { sumBlobs } from '../../src/inventory/summary/sums.js'
import { seeing, StatementEnded } from '../servers/seen-statements.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

describe.each(STORE_PAIRS)('digests that all begin alike, on %s', (_, open) => {
  const COUNT = 20_005
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => {
    await stores.clear()
    for (const table of ['repository_blobs', 'repository_manifests'])
      await sql`
        insert into inventory.${sql.raw(table)} (repository_id, digest, pushed_at)
        select n % 3 + 1, 'sha512:' || lpad((n / 2)::text, 128, '0'), '2026-11-18' from generate_series(1, ${COUNT}::int) n
      `.execute(stores.database.sql)
  })
  afterAll(async () => stores.close())

  const bounds = /digest > \S+ and digest <= /
  /** Statements that sum a part, of which the first are cancelled. */
  const seen = (statements: string[], ended: number): TestStores['database']['jobs'] =>
    seeing(stores.database.jobs, async (execute, text) => {
      if (!text.includes('group by')) return execute()
      statements.push(bounds.test(text) ? 'bounded' : 'rest')
      if (statements.length <= ended) throw new StatementEnded()
      return execute()
    })

  test('are summed in parts of a bounded number of rows', async () => {
    const statements: string[] = []
    const sums = await sumBlobs(seen(statements, 0))
    expect(statements).toEqual(['bounded', 'rest'])
    expect([...sums.byRepository.values()].reduce((sum, { blobs }) => sum + blobs, 0)).toBe(COUNT)
    expect(sums.blobs).toBe(Math.floor(COUNT / 2) + 1)
  })

  test('are weighed in smaller parts if a statement was cancelled', async () => {
    const statements: string[] = []
    const weights = await weighRepositories(seen(statements, 1))
    expect(statements.length).toBeGreaterThan(8)
    expect([...weights.values()].reduce((sum, { own }) => sum + own, 0)).toBe(COUNT)
  })
})
