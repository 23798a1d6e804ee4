import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { openPostgres } from '../../src/storage/postgres.js'
import { startPostgres, type PostgresServer } from '../servers/postgres.js'
import { eventually } from '../servers/process.js'
import { startTcpProxy } from '../servers/tcp-proxy.js'

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
