import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { migrate } from '../../../src/schema/migrate.js'
import { openPostgres, withoutTimeLimit } from '../../../src/storage/sql/postgres.js'
import { warningsOfRole } from '../../../src/storage/sql/read-only-role.js'
import { eventually } from '../../servers/process.js'
import { startPostgres, type PostgresServer } from '../../servers/postgres.js'

describe('a PostgreSQL server on which Tallyman may not create roles', () => {
  let server: PostgresServer
  let url: string
  const admin = async (text: string): Promise<unknown[]> => {
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    return (await client.query<object>(text).finally(async () => client.end())).rows
  }
  const warnings = async (of = url): Promise<string[]> => {
    const database = openPostgres(of)
    return warningsOfRole(database).finally(database.close)
  }
  /** What the role may read. */
  const readable = async (): Promise<unknown> => {
    const [row] = await admin(`
      select has_schema_privilege('tallyman_sql', 'inventory', 'usage') as schema,
        has_table_privilege('tallyman_sql', 'inventory.tags', 'select') as table,
        has_table_privilege('tallyman_sql', 'pulls.salts', 'select') as secrets
    `)
    return row
  }
  const READABLE = { schema: true, table: true, secrets: false }
  const run = async (text: string): Promise<unknown[][]> => {
    const database = openPostgres(url)
    return (await database.readOnly(text, { rows: 10, seconds: 30 }).finally(database.close)).rows
  }

  beforeAll(async () => {
    server = await startPostgres({ settings: ['fsync=off'] })
    await admin(
      'create role plain login; grant create on database tallyman to plain; grant create on schema public to plain',
    )
    url = server.url.replace('postgres@', 'plain@')
    await withoutTimeLimit(url, migrate)
  })
  afterAll(async () => server.stop())

  test('warns of a superuser in DATABASE_URL', async () => {
    expect(await warnings(server.url)).toContainEqual(expect.stringContaining('DATABASE_URL names a superuser'))
  })

  test('starts, and runs statements with its own role, that cannot name secrets nor functions with effects', async () => {
    expect(await run('select current_user::text, count(*)::int from inventory.tags')).toEqual([['plain', 0]])
    expect(await run('select * from rejected_events')).toEqual([])
    await expect(run('select * from pulls.salts')).rejects.toThrow(/^salts: no statement may contain this name/)
    await expect(run("select table_to_xml('pulls.sal' || 'ts', true, true, '')")).rejects.toThrow(/^table_to_xml: /)
    await expect(run('select pg_terminate_backend(pid) from pg_stat_activity')).rejects.toThrow(
      /^pg_terminate_backend: /,
    )
    await expect(run('delete from tallies')).rejects.toMatchObject({ code: '42601' })
    expect(await warnings()).toEqual([expect.stringContaining('create role tallyman_sql nologin')])
  })

  test('warns while the role is there, as of another installation on the server, and not granted', async () => {
    await admin('create role tallyman_sql')
    await withoutTimeLimit(url, migrate)
    expect(await run('select current_user::text')).toEqual([['plain']])
    expect(await warnings()).toEqual([
      expect.stringMatching(/has all rights of DATABASE_URL.*"grant tallyman_sql to plain", then restart/),
    ])
  })

  test('runs statements as the role that may only read, once an administrator has created and granted it', async () => {
    await admin('grant tallyman_sql to plain')
    await withoutTimeLimit(url, migrate)
    expect(await run('select current_user::text, count(*)::int from inventory.tags')).toEqual([['tallyman_sql', 0]])
    expect(await run('select reason, detail, excerpt from rejected_events')).toEqual([])
    await expect(run('select * from pulls.salts')).rejects.toMatchObject({ code: '42501' })
    await expect(run('select * from tallies')).rejects.toMatchObject({ code: '42501' })
    expect(await warnings()).toEqual([])
    await admin('revoke usage on schema inventory from tallyman_sql')
    expect(await warnings()).toEqual([
      expect.stringContaining('grant usage on schema inventory, pulls, regstat to tallyman_sql'),
    ])
    await withoutTimeLimit(url, migrate)
    expect(await warnings()).toEqual([])
  })

  test('a grant that is refused, as of a view of another user, undoes no other one', async () => {
    await admin('create view inventory.of_another as select 1 as one')
    await admin('revoke all on all tables in schema inventory from tallyman_sql')
    await admin('revoke usage on schema inventory from tallyman_sql')
    await withoutTimeLimit(url, migrate)
    expect(await readable()).toEqual(READABLE)
    await admin('drop view inventory.of_another')
  })

  test('a start of another database that creates the role at the same time undoes no grant', async () => {
    await admin('drop owned by tallyman_sql')
    await admin('drop role tallyman_sql')
    const other = new pg.Client({ connectionString: server.url.replace(/[^/]*$/, 'postgres') })
    await other.connect()
    await other.query('begin')
    await other.query('create role tallyman_sql; grant tallyman_sql to plain')
    await admin('alter role plain createrole')
    const migrating = withoutTimeLimit(url, migrate)
    await eventually('the start waits for the other one', async () => {
      const rows = await admin("select from pg_stat_activity where usename = 'plain' and wait_event_type = 'Lock'")
      return rows.length > 0
    })
    await other.query('commit')
    await other.end()
    await migrating
    await admin('alter role plain nocreaterole')
    expect(await readable()).toEqual(READABLE)
    expect(await run('select current_user::text')).toEqual([['tallyman_sql']])
  })

  test('a start of each of several instances may grant at the same time', async () => {
    await admin('revoke all on all tables in schema inventory from tallyman_sql')
    await Promise.all(Array.from({ length: 4 }, async () => withoutTimeLimit(url, migrate)))
    expect(await run('select current_user::text, count(*)::int from inventory.tags')).toEqual([['tallyman_sql', 0]])
  })
})
