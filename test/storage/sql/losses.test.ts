import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { ConnectionLost, createLosses } from '../../../src/storage/sql/losses.js'
import { openPostgres } from '../../../src/storage/sql/postgres.js'
import type { Database } from '../../../src/storage/sql/database.js'
import { isStorageUnavailable } from '../../../src/storage/unavailable.js'
import { startPostgres, type PostgresServer } from '../../servers/postgres.js'
import { eventually } from '../../servers/process.js'
import { startTcpProxy } from '../../servers/tcp-proxy.js'

describe('losses', () => {
  test('are connections that broke, and new connections to another server that no break announced', () => {
    const losses = createLosses()
    let dropped = 0
    losses.onLoss(() => dropped++)
    const [first, second, third, fourth] = [{}, {}, {}, {}]
    losses.reached(first, 'a')
    losses.reached(second, 'a')
    expect([losses.count(), dropped]).toEqual([0, 0])
    losses.reached(third, 'b')
    expect([losses.count(), dropped]).toEqual([1, 1])
    expect([first, second, third].map(losses.isCurrent)).toEqual([false, false, true])
    losses.broke()
    losses.reached(fourth, 'c')
    expect([losses.count(), dropped]).toEqual([2, 2])
    expect([third, fourth].map(losses.isCurrent)).toEqual([false, true])
  })
})

const ONE = { name: 'one', text: 'select 1 as one' }

describe('what was prepared before a connection was lost', () => {
  let postgres: PostgresServer
  let database: Database
  beforeAll(async () => {
    postgres = await startPostgres()
    database = openPostgres(postgres.url)
    await sql`create table written ()`.execute(database.sql)
  })
  afterAll(async () => {
    await database.close()
    await postgres.stop()
  })

  /** Ends the connections that carry nothing, at least that of questions. */
  const loseIdle = async (): Promise<void> => {
    await database.version()
    const before = database.losses.count()
    const ended = await database.run({ name: 'end_idle', text: END_IDLE }, [])
    await eventually('the losses are noticed', async () =>
      Promise.resolve(database.losses.count() >= before + ended.length),
    )
  }
  const END_IDLE = `
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'tallyman' and state = 'idle' and pid <> pg_backend_pid()`
  const written = async (): Promise<number> => (await sql`select from written`.execute(database.sql)).rows.length

  test('is not written: a statement', async () => {
    const preparedAt = database.losses.count()
    await loseIdle()
    const insert = { name: 'write', text: 'insert into written default values' }
    const refused = await database.run(insert, [], preparedAt).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(ConnectionLost)
    expect(isStorageUnavailable(refused)).toBe(true)
    expect(await written()).toBe(0)
    expect(await database.run(ONE, [], database.losses.count())).toEqual([{ one: 1 }])
  })

  test('is not written: a transaction, also if the loss came while it was open', async () => {
    const calls: string[] = []
    const insertAndLose = database.transaction(async (tx) => {
      tx.afterCommit(() => calls.push('committed'))
      await sql`insert into written default values`.execute(tx)
      await loseIdle()
    }, database.losses.count())
    await expect(insertAndLose).rejects.toThrow(ConnectionLost)
    expect(await written()).toBe(0)
    expect(calls).toEqual([])
  })

  test('is not written to another server that answers at the same address, although no connection broke', async () => {
    const other = await startPostgres()
    const proxy = await startTcpProxy(Number(new URL(postgres.url).port))
    const moved = openPostgres(postgres.url.replace(/:\d+\//, `:${proxy.port}/`))
    try {
      await moved.version()
      const preparedAt = moved.losses.count()
      proxy.redirect(Number(new URL(other.url).port))
      await expect(moved.run(ONE, [], preparedAt)).rejects.toThrow(ConnectionLost)
      expect(await moved.run(ONE, [], moved.losses.count())).toEqual([{ one: 1 }])
    } finally {
      await moved.close()
      await proxy.stop()
      await other.stop()
    }
  })
})
