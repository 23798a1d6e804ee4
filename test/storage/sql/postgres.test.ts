import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { explain } from '../../../src/cli/terminal/failure.js'
import { ask, QuestionTooLong } from '../../../src/inventory/questions/ask.js'
import { deletionQuestions } from '../../../src/inventory/questions/deletions.js'
import { migrate } from '../../../src/schema/migrate.js'
import { openPostgres } from '../../../src/storage/sql/postgres.js'
import { NOW } from '../../servers/clock.js'
import { startPostgres, type PostgresServer } from '../../servers/postgres.js'
import { eventually } from '../../servers/process.js'
import { startTcpProxy } from '../../servers/tcp-proxy.js'

const ONE = { name: 'one', text: 'select 1 as one' }

let postgres: PostgresServer
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(async () => postgres.stop())

test.each([
  ['a statement', async ({ run }: ReturnType<typeof openPostgres>) => run(ONE, [])],
  [
    'a transaction',
    async ({ transaction }: ReturnType<typeof openPostgres>) => transaction(async ({ run }) => run(ONE, [])),
  ],
  [
    'a transaction whose statement comes later than its beginning',
    async ({ transaction }: ReturnType<typeof openPostgres>) =>
      transaction(async ({ run }) => {
        await setTimeout(20)
        return run(ONE, [])
      }),
  ],
])('a connection that carries nothing any more, without being closed, is replaced: %s', async (_, ask) => {
  const proxy = await startTcpProxy(Number(new URL(postgres.url).port))
  const database = openPostgres(postgres.url.replace(/:\d+\//, `:${proxy.port}/`))
  try {
    expect(await ask(database)).toEqual([{ one: 1 }])
    proxy.forgetConnections()
    await expect(ask(database)).rejects.toThrow(/timeout/)
    expect(await ask(database)).toEqual([{ one: 1 }])
    await eventually('the old connection is gone', async () => Promise.resolve(proxy.connections() === 2))
  } finally {
    await database.close()
    await proxy.stop()
  }
})

test('a statement that took too long for a registry ends on the server as well, with its locks', async () => {
  const database = openPostgres(postgres.url)
  try {
    await expect(database.run({ name: 'sleep', text: 'select pg_sleep(30)' }, [])).rejects.toThrow(/timeout/)
    await eventually('the server has given up, too', async () => {
      const { rows } = await sql`
        select from pg_stat_activity where state = 'active' and query = 'select pg_sleep(30)'
      `.execute(database.sql)
      return rows.length === 0
    })
  } finally {
    await database.close()
  }
})

test('closing cancels what runs, on the server as well', async () => {
  const database = openPostgres(postgres.url)
  const sleep = sql`select pg_sleep(60)`
  const work = [
    sleep.execute(database.sql),
    sleep.execute(database.jobs),
    database.jobTransaction(async (tx) => {
      await sql`create table cancelled ()`.execute(tx)
      await sleep.execute(tx)
    }),
    database.readOnly('select count(*) from generate_series(1, 10000000000)', { rows: 1, seconds: 600 }),
  ]
  const outcomes = Promise.allSettled(work)
  const other = openPostgres(postgres.url)
  const countRunning = async (): Promise<number> => {
    const { rows } = await sql`
      select from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()
        and (query = 'select pg_sleep(60)' or query like 'fetch forward%')
    `.execute(other.sql)
    return rows.length
  }
  try {
    await eventually('all are running', async () => (await countRunning()) === 4)
    await database.close()
    expect(
      (await outcomes).map((outcome) => outcome.status === 'rejected' && (outcome.reason as { code: string }).code),
    ).toEqual(Array<string>(4).fill('57014'))
    expect(await countRunning()).toBe(0)
  } finally {
    await other.close()
  }
})

test('statements of jobs may take longer than what somebody waits for', async () => {
  const database = openPostgres(postgres.url)
  const limitOf = async (db: typeof database.sql): Promise<unknown> =>
    (await sql`select current_setting('statement_timeout') as most`.execute(db)).rows
  try {
    expect(await limitOf(database.sql)).toEqual([{ most: '30s' }])
    expect(await limitOf(database.jobs)).toEqual([{ most: '15min' }])
  } finally {
    await database.close()
  }
})

test('a question that the server gives up says what makes it smaller', async () => {
  const database = openPostgres(postgres.url)
  try {
    await migrate(database.sql)
    const [deletions] = deletionQuestions
    if (!deletions) throw new Error('there are no deletions')
    const slow = { ...deletions, statement: () => sql<Record<string, unknown>>`select pg_sleep(5)` }
    const asked = database.sql.transaction().execute(async (tx) => {
      await sql`set local statement_timeout = 50`.execute(tx)
      return ask(tx, slow, { actor: 'alice' }, NOW)
    })
    await expect(asked).rejects.toThrow(QuestionTooLong)
    await expect(asked).rejects.toThrow(
      /^deletions: took .*; reduce it with since, registry, repository, a smaller limit$/,
    )
  } finally {
    await database.close()
  }
})

test('the error for a role that may not create schemas contains the statement that grants the right', async () => {
  const owner = openPostgres(postgres.url)
  await sql`create role guest login`.execute(owner.sql)
  await sql`create database guarded`.execute(owner.sql)
  const url = new URL(postgres.url)
  url.username = 'guest'
  url.pathname = '/guarded'
  const guest = openPostgres(url.href)
  try {
    const refused: unknown = await migrate(guest.sql).catch((error: unknown) => error)
    expect(explain(refused)).toMatch(/create schemas .*: grant create on database DATABASE to USER/)
  } finally {
    await Promise.all([guest.close(), owner.close()])
  }
})
