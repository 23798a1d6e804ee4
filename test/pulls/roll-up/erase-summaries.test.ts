import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { eraseSummaries } from '../../../src/pulls/roll-up/erase-summaries.js'
import { ROWS_AT_ONCE } from '../../../src/storage/sql/batched.js'
import { seeing } from '../../servers/seen-statements.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

describe.each(STORE_PAIRS)('the summaries of an erased repository, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => stores.clear())
  afterAll(async () => stores.close())

  const summarize = async (registry: string, repositories: number): Promise<void> => {
    await sql`
      insert into pulls.summaries
      select ${registry}, 'repository', 'app-' || n, 'day', '2026-11-18', 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, '', '', ''
      from generate_series(1, ${repositories}::int) n
    `.execute(stores.database.sql)
  }

  test('are deleted in steps of a bounded size, and the summaries of other registries stay', async () => {
    await summarize('a', ROWS_AT_ONCE + 5)
    await summarize('b', 3)
    const deleted: number[] = []
    const seen = seeing(stores.database.jobs, async (execute, text) => {
      const result = await execute()
      if (text.includes('delete from pulls.summaries ')) deleted.push(Number(result.numAffectedRows))
      return result
    })
    await eraseSummaries(seen, { repository: 'app-1', registries: ['a'] })
    expect(deleted).toEqual([ROWS_AT_ONCE, 5, 0])
    const { rows } = await sql`select registry, count(*)::int as left from pulls.summaries group by registry`.execute(
      stores.database.sql,
    )
    expect(rows).toEqual([{ registry: 'b', left: 3 }])
  })
})
