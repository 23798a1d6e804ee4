import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import pg from 'pg'
import type { Database } from '../../../src/storage/sql/database.js'
import { openPostgres } from '../../../src/storage/sql/postgres.js'
import { isStorageUnavailable } from '../../../src/storage/unavailable.js'
import { startPostgres, type PostgresServer } from '../../servers/postgres.js'

let server: PostgresServer
let admin: pg.Client
beforeAll(async () => {
  server = await startPostgres()
  admin = new pg.Client({ connectionString: server.url.replace(/[^/]*$/, 'postgres') })
  await admin.connect()
  const owner = openPostgres(server.url)
  await sql`create table written (at timestamptz not null default now())`.execute(owner.sql)
  await owner.close()
})
afterAll(async () => {
  await admin.end()
  await server.stop()
})
beforeEach(async () => {
  await admin.query('alter database tallyman set default_transaction_read_only = on')
})

/** From now on new connections can write; those that are open cannot, as when an address leads to another server. */
const leadToMaster = async (): Promise<unknown> =>
  admin.query('alter database tallyman reset default_transaction_read_only')

const INSERT = { name: 'insert', text: 'insert into written default values' }
const PID = { name: 'pid', text: 'select pg_backend_pid() as pid' }

const WRITES: [string, (database: Database) => Promise<unknown>][] = [
  ['a statement', async ({ run }) => run(INSERT, [])],
  ['a transaction', async ({ transaction }) => transaction(async ({ run }) => run(INSERT, []))],
  ['a transaction of a job', async ({ jobTransaction }) => jobTransaction(async ({ run }) => run(INSERT, []))],
  ['a statement of Kysely', async (database) => sql.raw(INSERT.text).execute(database.sql)],
  [
    'a transaction of Kysely',
    async (database) => database.sql.transaction().execute(async (tx) => sql.raw(INSERT.text).execute(tx)),
  ],
  ['a long statement of a job', async (database) => sql.raw(INSERT.text).execute(database.jobs)],
]

test.each(WRITES)('%s leaves a server that takes no writes, without idle time', async (_, write) => {
  const database = openPostgres(server.url)
  try {
    const refused: unknown = await write(database).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: '25006' })
    expect(isStorageUnavailable(refused)).toBe(true)
    await leadToMaster()
    const failures: unknown[] = []
    // The newest connection may have been opened before the address led to another server.
    for (let i = 0; i < 5; i++) {
      await write(database).catch((error: unknown) => failures.push(error))
      await setTimeout(200)
    }
    expect(failures.length).toBeLessThan(2)
  } finally {
    await database.close()
  }
})

test('a refused write closes the connections of readers, too, which would read what the standby has', async () => {
  const database = openPostgres(server.url)
  const pids = async (): Promise<number[]> => {
    const found = await Promise.all([
      sql<{ pid: number }>`select pg_backend_pid() as pid, pg_sleep(0.1)`.execute(database.sql),
      sql<{ pid: number }>`select pg_backend_pid() as pid, pg_sleep(0.1)`.execute(database.sql),
      sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(database.jobs),
    ])
    return [...found.flatMap(({ rows }) => rows), ...(await database.run<{ pid: number }>(PID, []))].map(
      ({ pid }) => pid,
    )
  }
  try {
    const before = await pids()
    const reading = sql<{ one: number }>`select 1 as one, pg_sleep(0.5)`.execute(database.sql)
    await setTimeout(100)
    await expect(database.run(INSERT, [])).rejects.toThrow(/read-only/)
    // What is under way ends first.
    expect((await reading).rows).toMatchObject([{ one: 1 }])
    const after = await pids()
    expect(after.filter((pid) => before.includes(pid))).toEqual([])
    // Reads alone close nothing.
    expect((await pids()).toSorted()).toEqual(after.toSorted())
  } finally {
    await database.close()
  }
})

test('a statement of an operator that may not write leaves the connections of the service open', async () => {
  await leadToMaster()
  const database = openPostgres(server.url)
  try {
    const before = await database.run(PID, [])
    const refused = database.readOnly('select * from written for update', { rows: 1, seconds: 5 })
    await expect(refused).rejects.toMatchObject({ code: '25006' })
    expect(await database.run(PID, [])).toEqual(before)
  } finally {
    await database.close()
  }
})
