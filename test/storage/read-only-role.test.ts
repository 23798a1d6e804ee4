import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { migrate } from '../../src/storage/migrate.js'
import { openPostgres, unhurried } from '../../src/storage/postgres.js'
import { startPostgres, type PostgresServer } from '../servers/postgres.js'

describe('a PostgreSQL server on which Tallyman may not create roles', () => {
  let server: PostgresServer
  let url: string
  const admin = async (text: string): Promise<void> => {
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await client.query(text).finally(async () => client.end())
  }
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
    await unhurried(url, migrate)
  })
  afterAll(async () => server.stop())

  test('starts, and runs statements with its own role, that cannot name secrets nor functions with effects', async () => {
    expect(await run('select current_user::text, count(*)::int from inventory.tags')).toEqual([['plain', 0]])
    await expect(run('select * from pulls.salts')).rejects.toThrow(/^salts: no statement may contain this name/)
    await expect(run("select table_to_xml('pulls.sal' || 'ts', true, true, '')")).rejects.toThrow(/^table_to_xml: /)
    await expect(run('select pg_terminate_backend(pid) from pg_stat_activity')).rejects.toThrow(
      /^pg_terminate_backend: /,
    )
    await expect(run('delete from tallies')).rejects.toMatchObject({ code: '42601' })
  })

  test('runs statements as the role that may only read, once an administrator has created and granted it', async () => {
    await admin('create role tallyman_sql; grant tallyman_sql to plain')
    await unhurried(url, migrate)
    expect(await run('select current_user::text, count(*)::int from inventory.tags')).toEqual([['tallyman_sql', 0]])
    await expect(run('select * from pulls.salts')).rejects.toMatchObject({ code: '42501' })
    await expect(run('select * from tallies')).rejects.toMatchObject({ code: '42501' })
  })

  test('a start of each of several instances may grant at the same time', async () => {
    await admin('revoke all on all tables in schema inventory from tallyman_sql')
    await Promise.all(Array.from({ length: 4 }, async () => unhurried(url, migrate)))
    expect(await run('select current_user::text, count(*)::int from inventory.tags')).toEqual([['tallyman_sql', 0]])
  })
})
