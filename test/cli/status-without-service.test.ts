import { afterAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { openPostgres } from '../../src/storage/sql/postgres.js'
import { API_TOKEN, startService } from '../servers/service.js'
import { embeddedFolder, openServers } from '../servers/stores.js'
import { tallyman } from '../servers/tallyman.js'

describe('tallyman status while no service runs', () => {
  const folder = embeddedFolder()
  afterAll(() => {
    folder.remove()
  })
  const environment = { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_API_TOKENS: API_TOKEN }

  test('says so first and exits 1, with the embedded store by the lock of the data directory', async () => {
    const { code, out } = await tallyman(environment, 'status')
    expect([code, out]).toEqual([1, expect.stringMatching(/^no service runs in \S+\nTallyman /)])
  })

  test('says so first and exits 1, on servers by the newest heartbeat of a service', async () => {
    const servers = await openServers()
    const status = async (): Promise<[number, string | undefined]> => {
      const { code, out } = await tallyman({ ...environment, ...servers.environment }, 'status')
      return [code, out.split('\n')[0]]
    }
    const none = 'no service runs on the server of DATABASE_URL; the newest heartbeat of a service:'
    expect(await status()).toEqual([1, `${none} none in the last day`])
    const service = await startService(folder.path, servers.environment)
    expect(await status()).toEqual([0, expect.stringMatching(/^Tallyman /)])
    await service.process.end('SIGTERM')
    const database = openPostgres(servers.environment.DATABASE_URL)
    await sql`update leases set until = until - interval '185 seconds' where name = 'sign of a service'`.execute(
      database.sql,
    )
    expect(await status()).toEqual([1, `${none} 3 minutes ago`])
    await database.close()
    await servers.close()
  })
})
