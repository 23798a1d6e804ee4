import { describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import pg from 'pg'
import { createLog } from '../../src/service/log.js'
import { isStorageUnavailable, storeOf } from '../../src/storage/unavailable.js'
import { migrate } from '../../src/schema/migrate.js'
import { openPostgres, withoutTimeLimit } from '../../src/storage/sql/postgres.js'
import { connectRedis } from '../../src/storage/sketches/redis-connection.js'
import { nameErrorsOf } from '../../src/storage/sql/postgres-errors.js'
import { startPostgres } from '../servers/postgres.js'
import { freePort } from '../servers/process.js'

const failureOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )
const logged = (err: unknown): unknown => {
  const lines: string[] = []
  createLog('info', { write: (line: string) => void lines.push(line) }).error({ err }, 'a job failed')
  return (JSON.parse(lines[0] ?? '') as { err: { store?: string } }).err.store
}

describe('an error of an unavailable store', () => {
  test('names PostgreSQL, whatever was asked of it', async () => {
    const url = `postgres://nobody@localhost:${await freePort()}/none`
    const database = openPostgres(url)
    const statement = { name: 'one', text: 'select 1' }
    const failures = [
      await failureOf(database.version()),
      await failureOf(database.run(statement, [])),
      await failureOf(database.transaction(async (tx) => tx.run(statement, []))),
      await failureOf(database.jobTransaction(async (tx) => tx.run(statement, []))),
      await failureOf(sql`select 1`.execute(database.jobs)),
      await failureOf(database.readOnly('select 1', { rows: 1, seconds: 1 })),
      await failureOf(withoutTimeLimit(url, migrate)),
    ]
    await database.close()
    expect(failures.map(isStorageUnavailable)).toEqual(failures.map(() => true))
    expect(failures.map(logged)).toEqual(failures.map(() => 'PostgreSQL'))
  })

  test('names PostgreSQL, also from a query of the pool itself', async () => {
    const pool = new pg.Pool({ host: '127.0.0.1', port: await freePort() })
    nameErrorsOf(pool)
    expect(storeOf(await failureOf(pool.query('select 1')))).toBe('PostgreSQL')
    await pool.end()
  })

  test('names PostgreSQL if the server ends while a statement runs', async () => {
    const server = await startPostgres({ settings: ['fsync=off'] })
    const database = openPostgres(server.url)
    await database.version()
    const sleeping = failureOf(sql`select pg_sleep(20)`.execute(database.sql))
    await server.stop()
    expect(logged(await sleeping)).toBe('PostgreSQL')
    expect(logged(await failureOf(database.version()))).toBe('PostgreSQL')
    await database.close()
  })

  test('names Redis', async () => {
    const client = connectRedis(`redis://127.0.0.1:${await freePort()}`)
    const failure = await failureOf(client.pfadd('sketch', 'alice'))
    client.disconnect()
    expect([isStorageUnavailable(failure), logged(failure)]).toEqual([true, 'Redis'])
    expect(logged(await failureOf(client.pfadd('sketch', 'alice')))).toBe('Redis')
  })

  test('of anything else names none', async () => {
    const fetched = await failureOf(fetch(`http://127.0.0.1:${await freePort()}`))
    const quoting = new RangeError('Connection terminated')
    expect([fetched, quoting, new Error('no'), undefined, 'Redis'].map(storeOf)).toEqual(Array(5).fill(undefined))
  })
})
