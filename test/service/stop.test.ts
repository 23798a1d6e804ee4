import { afterAll, beforeAll, expect, test } from '@jest/globals'
import pg from 'pg'
import { eventually, temporaryFolder } from '../servers/process.js'
import { startService } from '../servers/service.js'
import { embeddedFolder, openServers } from '../servers/stores.js'

let servers: Awaited<ReturnType<typeof openServers>>
let locker: pg.Client
/** In a transaction of its own each time: within one, the list of activity stays as it was. */
let other: pg.Client
beforeAll(async () => {
  servers = await openServers()
  other = new pg.Client({ connectionString: servers.environment.DATABASE_URL })
  locker = new pg.Client({ connectionString: servers.environment.DATABASE_URL })
  await Promise.all([other.connect(), locker.connect()])
})
afterAll(async () => {
  await Promise.all([other.end(), locker.end()])
  await servers.close()
})

/** Statements of the service that wait for a lock of this test, or run. */
const countActive = async (): Promise<number> => {
  const { rows } = await other.query(`
    select from pg_stat_activity
    where datname = current_database() and application_name = 'tallyman' and state = 'active'`)
  return rows.length
}

test('SIGTERM ends a service whose statement on PostgreSQL runs on, and the statement', async () => {
  const folder = temporaryFolder('stop')
  const service = await startService(folder.path, servers.environment)
  try {
    await locker.query('begin; lock table inventory.repositories, inventory.tags in access exclusive mode')
    const answer = service.get('/inventory/tags?repository=team/app').catch(() => undefined)
    await eventually('the statement waits', async () => (await countActive()) > 0)
    // 1 would be: the service gave up after its patience of 9 s.
    expect(await service.process.end('SIGTERM')).toBe(0)
    await answer
    expect(await countActive()).toBe(0)
  } finally {
    await service.process.end('SIGKILL')
    await locker.query('rollback')
    folder.remove()
  }
})

/** A process in which a computation begins with SIGUSR2, and never ends. */
const ENDLESS = `--import "data:text/javascript,process.on('SIGUSR2', () => { for (;;); })"`

test('a computation that goes on without end ends the service, which says so', async () => {
  const folder = embeddedFolder()
  const service = await startService(folder.path, { NODE_OPTIONS: ENDLESS })
  try {
    service.process.child.kill('SIGUSR2')
    expect(await service.process.end()).toBe(null)
    expect(service.process.output()).toContain('tallyman: the process was ended because one statement')
  } finally {
    await service.process.end('SIGKILL')
    folder.remove()
  }
})
