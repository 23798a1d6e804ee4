import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const LIMITS = { rows: 10, seconds: 1 }

describe.each(STORE_PAIRS)('a read-only statement on %s', (name, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
    await sql`insert into tallies values ('kept', '2026-11-21', 1)`.execute(stores.database.sql)
  })
  afterAll(async () => stores.close())

  /** Whatever was asked: what was there is there, and the service goes on writing. */
  afterEach(async () => {
    const { rows } = await sql<{ value: string }>`
      update tallies set value = value where name = 'kept' returning value
    `.execute(stores.database.sql)
    expect(rows).toHaveLength(1)
    expect(Number(rows[0]?.value)).toBe(1)
  })
  const run = async (statement: string, limits = LIMITS): ReturnType<TestStores['database']['readOnly']> =>
    stores.database.readOnly(statement, limits)

  test('answers columns, rows and whether there are more', async () => {
    expect(await run('select n, n * 2 as n from generate_series(1, 2) n;\n')).toEqual({
      columns: ['n', 'n'],
      rows: [
        [1, 2],
        [2, 4],
      ],
      more: false,
    })
    const { rows, more } = await run('select n from generate_series(1, 100) n')
    expect([rows.length, more]).toEqual([10, true])
    expect((await run('with x as (select 1 as a) select * from x -- a remark')).rows).toEqual([[1]])
    expect((await run('values (1), (2)')).rows).toEqual([[1], [2]])
    expect((await run('/* why */ explain select 1')).rows.length).toBeGreaterThan(0)
    expect((await run('show transaction_read_only')).rows).toEqual([['on']])
  })

  test.each([
    ["insert into tallies values ('x', '2026-11-21', 1)"],
    ['update tallies set value = 2'],
    ['delete from tallies'],
    ['drop table tallies'],
    ['truncate tallies'],
    ['create table x ()'],
    ['with gone as (delete from tallies returning 1) select * from gone'],
    ['explain analyze delete from tallies'],
    ['commit'],
    ['commit; drop table tallies'],
    ['select 1; commit; drop table tallies'],
    ['select 1; drop table tallies'],
    ['explain select 1; drop table tallies'],
    ['show all; commit; drop table tallies'],
    ['rollback; delete from tallies'],
    ['set transaction read write'],
    ["select set_config('transaction_read_only', 'off', false)"],
    ["select set_config('transaction_read_only', 'off', true) union all select 'x'"],
    ["copy tallies to program 'true'"],
    ['copy tallies from stdin'],
    ['do $$ begin delete from tallies; end $$'],
    ["select nextval('inventory.repositories_id_seq')"],
    ['select * from tallies for update'],
    ['selec'],
    [''],
  ])('%s is refused', async (statement) => {
    await expect(run(statement)).rejects.toMatchObject({ code: expect.stringMatching(/^[0-9A-Z]{5}$/) })
  })

  // PGlite heeds no time limit (docs/decisions/0011), and has no second session.
  if (name.includes('PostgreSQL')) {
    test('ends when its time is over, and a lock ends with its session', async () => {
      await expect(run('select pg_sleep(20)')).rejects.toMatchObject({ code: '57014' })
      await run('select pg_advisory_lock(7)')
      expect((await run('select pg_try_advisory_lock(7)')).rows).toEqual([[true]])
    })
  }

  test('what is set in it is not set afterwards', async () => {
    await run("select set_config('statement_timeout', '0', false), set_config('search_path', 'nowhere', false)")
    expect((await run('select count(*)::int from tallies')).rows).toEqual([[1]])
  })
})
