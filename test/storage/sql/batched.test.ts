import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { inSteps, ROWS_AT_ONCE } from '../../../src/storage/sql/batched.js'
import { eventually } from '../../servers/process.js'
import { openServerStores, type TestStores } from '../../servers/stores.js'

let stores: TestStores
beforeAll(async () => {
  stores = await openServerStores()
})
afterAll(async () => stores.close())

test('a step from which another process takes a row is not the last one', async () => {
  const { jobs, sql: other } = stores.database
  await sql`create table stepped as select i from generate_series(1, ${ROWS_AT_ONCE + 1}::int) i`.execute(jobs)
  const removal = sql`delete from stepped where ctid = any(array(select ctid from stepped limit ${ROWS_AT_ONCE}))`
  let removing: Promise<number> | undefined
  await other.transaction().execute(async (tx) => {
    await sql`delete from stepped where i = 1`.execute(tx)
    removing = inSteps(jobs, removal)
    await eventually('the step waits', async () => {
      const { rows } = await sql`
        select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
      `.execute(other)
      return rows.length > 0
    })
  })
  expect(await removing).toBe(ROWS_AT_ONCE)
  expect((await sql`select from stepped`.execute(other)).rows).toEqual([])
})
