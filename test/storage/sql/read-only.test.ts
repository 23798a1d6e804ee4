import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import pg from 'pg'
import { readOnlyOn } from '../../../src/storage/sql/read-only.js'
import { createDatabase } from '../../servers/shared.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const LIMITS = { rows: 10, seconds: 30 }

describe.each(STORE_PAIRS)('a read-only statement on %s', (name, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
    await sql`insert into tallies values ('kept', '2026-11-21', 1)`.execute(stores.database.sql)
    await sql`insert into pulls.salts values ('daily', now(), now(), 'a-secret-salt')`.execute(stores.database.sql)
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
    expect(await run('select n, n * 2 as n from generate_series(1, 2) n;\n;')).toEqual({
      columns: ['n', 'n'],
      rows: [
        [1, 2],
        [2, 4],
      ],
      more: false,
    })
    const { rows, more } = await run('select n from generate_series(1, 100) n')
    expect([rows.length, more]).toEqual([10, true])
    const all = await run('select n from generate_series(1, 1234) n', { rows: 2_000, seconds: 30 })
    expect([all.rows.length, all.rows.at(-1), all.more]).toEqual([1234, [1234], false])
    expect((await run('with x as (select 1 as a) select * from x -- a remark')).rows).toEqual([[1]])
    expect((await run('values (1), (2)')).rows).toEqual([[1], [2]])
    expect(await run('select 1 as a where false')).toEqual({ columns: ['a'], rows: [], more: false })
    expect((await run('show transaction_read_only')).rows).toEqual([['on']])
  })

  test.each([
    ['/* why /* nested */ */ explain select 1'],
    ['explain analyze verbose select 1'],
    ['-- why\nexplain (analyze, costs off) select 1'],
    ['explain(select 1)'],
    ['explain analyze -- a comment ends here\rselect 1'],
    ['explain analyze /* one */ verbose -- two\n select 1'],
    ['EXPLAIN (FORMAT json) with x as (values (1)) table x'],
  ])('%s explains a query', async (statement) => {
    expect((await run(statement)).rows.length).toBeGreaterThan(0)
  })

  test.each([
    ["insert into tallies values ('x', '2026-11-21', 1)"],
    ['update tallies set value = 2'],
    ['delete from tallies'],
    ['drop table tallies'],
    ['truncate tallies'],
    ['create table x ()'],
    ['create temp table x ()'],
    ['with gone as (delete from tallies returning 1) select * from gone'],
    ['explain delete from tallies'],
    ['explain analyze delete from tallies'],
    ['explain analyze create table zz as select 1'],
    ['/**/explain/**/(analyze)/**/create table zz as select 1'],
    ['explain (analyze, verbose) select 1 into zz'],
    ['explain analyze -- a comment ends here\rcreate table zz as\nselect 1'],
    ['explain analyze /* /* */ create table zz as */ create table zz as select 1'],
    ['explain analyze declare x cursor for select 1'],
    ['explain analyze execute x'],
    ['commit'],
    ['commit; drop table tallies'],
    ['select 1; commit; drop table tallies'],
    ['select 1; drop table tallies'],
    ['explain select 1; drop table tallies'],
    ['show all; commit; drop table tallies'],
    ['rollback; delete from tallies'],
    ['set transaction read write'],
    ['set role none'],
    ['reset role'],
    ['reset session authorization'],
    ['notify x'],
    ['listen x'],
    ['lock table inventory.tags'],
    ["copy tallies to program 'true'"],
    ['copy tallies from stdin'],
    ['do $$ begin delete from tallies; end $$'],
    ['declare x cursor with hold for select 1'],
    ['select * from inventory.tags for update'],
    ['select * from tallies'],
    ['select * from pulls.salts'],
    ['select * from unresolved_users'],
    ['select * from provisional.outcomes'],
    ['select * from pg_authid'],
    ['select * from pg_shadow'],
    ['select * from pg_largeobject'],
    ['selec'],
    [''],
  ])('%s is refused by the database', async (statement) => {
    await expect(run(statement)).rejects.toMatchObject({ code: expect.stringMatching(/^[0-9A-Z]{5}$/) })
  })

  test.each([
    ['select count(pg_advisory_lock(i)) from generate_series(1,60000) i', 'pg_advisory_lock'],
    ['select pg_advisory_xact_lock(1)', 'pg_advisory_xact_lock'],
    ["select pg_create_physical_replication_slot('leak', true)", 'pg_create_physical_replication_slot'],
    ["select count(pg_logical_emit_message(false,'a',repeat('x',1000000)))", 'pg_logical_emit_message'],
    ["select pg_backup_start('x')", 'pg_backup_start'],
    ['select pg_stat_reset()', 'pg_stat_reset'],
    ['select pg_switch_wal()', 'pg_switch_wal'],
    ['select * from pg_hba_file_rules', 'pg_hba_file_rules'],
    ['select pg_terminate_backend(pid) from pg_stat_activity', 'pg_terminate_backend'],
    ["select pg_read_file('/etc/hostname')", 'pg_read_file'],
    ["select lo_export(1, '/tmp/x')", 'lo_export'],
    ["select lo_from_bytea(0, 'x')", 'lo_from_bytea'],
    ["select pg_notify('x', 'y')", 'pg_notify'],
    ['select pg_sleep(60)', 'pg_sleep'],
    ["select set_config('role', 'none', true)", 'set_config'],
    ["select set_config('transaction_read_only', 'off', false)", 'set_config'],
    ["select \"set_config\"('role', 'none', true)", 'set_config'],
    ['select PG_CATALOG . "pg_sleep" /**/ (1)', 'pg_sleep'],
    ["select query_to_xml('select pg_sleep(1)', true, true, '')", 'pg_sleep, query_to_xml'],
    ["select table_to_xml('pulls.sal' || 'ts', true, true, '')", 'table_to_xml'],
    ["select * from ts_stat('select salt::tsvector from pulls.' || 'sal' || 'ts')", 'ts_stat'],
    ["select nextval('inventory.repositories_id_seq')", 'nextval'],
    ['explain analyze select pg_advisory_lock(1)', 'pg_advisory_lock'],
    ['show all /* pg_sleep */', 'pg_sleep'],
    ['select U&"\\0070g_sleep"(1)', 'Unicode escapes'],
    ['select u&"set!005fconfig" uescape \'!\'', 'Unicode escapes'],
    ["select '\0'", 'U+0000'],
  ])('%s is refused before it runs', async (statement, name) => {
    await expect(run(statement)).rejects.toThrow(name)
  })

  test.each([
    ['select random() >= 0, clock_timestamp() > now(), gen_random_uuid() is not null'],
    ["select pg_total_relation_size('inventory.tags') >= 0"],
    ['select pg_size_pretty(pg_database_size(current_database()))'],
    ['select count(*) from pg_stat_activity, pg_locks, pg_settings'],
  ])('%s is allowed', async (statement) => {
    expect((await run(statement)).rows).toHaveLength(1)
  })

  test('reads every table and view of inventory, pulls and regstat but the salts', async () => {
    const { rows } = await sql<{ name: string }>`
      select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('inventory', 'pulls', 'regstat') and c.relkind in ('r', 'v', 'm') order by 1
    `.execute(stores.database.sql)
    const refused: string[] = []
    for (const { name } of rows) {
      await run(`select * from ${name}`).catch((error: unknown) => refused.push(`${name}: ${(error as Error).message}`))
    }
    expect(rows.length).toBeGreaterThan(30)
    expect(refused).toEqual(['pulls.salts: permission denied for table salts'])
  })

  test('functions that change nothing are all that the session may call: each other one is refused by its name', async () => {
    const { rows } = await sql<{ name: string }>`
      select distinct proname as name from pg_proc where provolatile = 'v' and pronamespace = 'pg_catalog'::regnamespace
    `.execute(stores.database.sql)
    const allowed: string[] = []
    for (const { name } of rows) {
      const message = await run(`select 1 as ${name}`).catch((error: unknown) => (error as Error).message)
      if (typeof message !== 'string') allowed.push(name)
    }
    expect(allowed.sort().join(' ')).not.toMatch(
      /_lock(?!_status)|config|sleep|slot|wal|file|lo_|reset|notify|terminate|cancel/,
    )
    expect(allowed.length).toBeLessThan(22)
  })

  if (name.includes('embedded')) {
    test('the role may not call functions with effects either, should a name pass unseen', async () => {
      const calls = ['pg_advisory_lock(7)', "set_config('role', 'none', true)", 'pg_sleep(0)', "lo_from_bytea(0, 'x')"]
      for (const call of calls) {
        const asRole = stores.database.transaction(async (tx) => {
          await sql`set local role tallyman_sql`.execute(tx)
          await sql.raw(`select ${call}`).execute(tx)
        })
        await expect(asRole).rejects.toMatchObject({ code: '42501' })
      }
    })
  }

  if (name.includes('embedded')) {
    test('temporary files of a statement are bounded', async () => {
      expect((await run('show temp_file_limit')).rows).toEqual([['2GB']])
    })
  }

  test('thousands of comments before a statement, or brackets after explain, take no time', async () => {
    await expect(run(`${'/**/'.repeat(20_000)}x`)).rejects.toMatchObject({ code: '42601' })
    await expect(run(`explain ${'(analyze '.repeat(10_000)}`)).rejects.toMatchObject({
      code: expect.stringMatching(/^42601|54001$/),
    })
    await expect(run(`${'; '.repeat(50_000)}x`)).rejects.toMatchObject({ code: '42601' })
  })

  test('an answer of too many bytes is refused while its rows are read, whatever the number of rows', async () => {
    const limits = { rows: 100_000, seconds: 300 }
    for (const statement of [
      "select repeat('x', 1000000) from generate_series(1, 3000)",
      "select repeat('x', 100000000)",
      "select case when i > 500 then repeat('x', 1000000) end from generate_series(1, 3000) i",
      'select array(select i from generate_series(1, 1000) i) from generate_series(1, 100000)',
      "explain (verbose) select repeat('x', 50000000)",
    ]) {
      await expect(run(statement, limits)).rejects.toThrow(/^the answer has more than 32 MiB: ask for fewer rows/)
    }
    expect((await run("select repeat('x', 1000000) from generate_series(1, 20)", limits)).rows).toHaveLength(20)
  })

  if (name.includes('PostgreSQL')) {
    test('ends when its time is over', async () => {
      const endless = 'with recursive n as (select 1 as i union all select i % 10 + 1 from n) select count(*) from n'
      await expect(run(endless, { rows: 10, seconds: 1 })).rejects.toMatchObject({ code: '57014' })
    })
  }

  test('its time is that of all its parts together', async () => {
    const slow = 'with recursive n as (select 1 as i union all select i % 10 + 1 from n) select * from n'
    await expect(run(slow, { rows: 100_000_000, seconds: 1 })).rejects.toThrow(
      /took longer than 1 s|statement timeout|more than 32 MiB/,
    )
  })

  test('nothing stays in the session', async () => {
    if (name.includes('embedded')) {
      await sql`select pg_advisory_lock(7)`.execute(stores.database.sql)
      await sql`create temp table left_behind ()`.execute(stores.database.sql)
      await sql`listen left_behind`.execute(stores.database.sql)
      await sql`select set_config('work_mem', '1MB', false)`.execute(stores.database.sql)
    }
    await run('select 1')
    const { rows } = await sql`
      select current_user = session_user as is_self, to_regclass('left_behind') as table, current_setting('work_mem') = '1MB' as is_set,
        (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
        (select count(*)::int from pg_listening_channels()) as channels
    `.execute(stores.database.sql)
    expect(rows).toEqual([{ is_self: true, table: null, is_set: false, locks: 0, channels: 0 }])
  })
})

test('an explained query has the time that is left when its cursor was declared', async () => {
  const { url, drop } = await createDatabase()
  const pool = new pg.Pool({ connectionString: url })
  const sent: string[] = []
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (config: { text: string }) => Promise<unknown>
    Object.assign(client, {
      query: async (config: { text: string }) => {
        sent.push(config.text)
        return query(config)
      },
    })
  })
  await readOnlyOn(pool, 'drop')('explain select 1', LIMITS)
  await pool.end()
  await drop()
  const limits = sent.flatMap((text, i) => (/^(?:declare|explain)/.test(text) ? [sent[i - 1]] : []))
  expect(limits).toEqual([
    expect.stringMatching(/^set local statement_timeout = /),
    expect.stringMatching(/^set local statement_timeout = /),
  ])
})

test('no more bytes than an answer may have are received from PostgreSQL, also if they are one row', async () => {
  const { url, drop } = await createDatabase()
  const pool = new pg.Pool({ connectionString: url })
  const sockets: Socket[] = []
  pool.on('connect', (client) => {
    client.on('error', () => undefined)
    sockets.push((client as unknown as { connection: { stream: Socket } }).connection.stream)
  })
  const limits = { ...LIMITS, bytes: 1_000_000 }
  await expect(readOnlyOn(pool, 'drop')("select repeat('x', 100000000)", limits)).rejects.toThrow('more than 0 MiB')
  expect(sockets.map(({ bytesRead }) => bytesRead < 50_000_000)).toEqual([true])
  await pool.end()
  await drop()
})
