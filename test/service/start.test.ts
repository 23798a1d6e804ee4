import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually, inherited, startProcess, temporaryFolder } from '../servers/process.js'
import { NOTIFICATION_TOKEN, SERVE, startService } from '../servers/service.js'
import { openServers } from '../servers/stores.js'

let servers: Awaited<ReturnType<typeof openServers>>
const folder = temporaryFolder('start')
beforeAll(async () => {
  servers = await openServers()
})
afterAll(async () => {
  await servers.close()
  folder.remove()
})

const KEY = 'a key that both processes of this test share'
const missing = (): string => join(folder.path, 'missing')

test('a service that keeps nothing in its data directory starts without one', async () => {
  const service = await startService(folder.path, {
    ...servers.environment,
    TALLYMAN_DATA_DIR: missing(),
    TALLYMAN_USERS_KEY: KEY,
  })
  try {
    expect((await service.get('/status')).status).toBe(200)
    expect(existsSync(missing())).toBe(false)
  } finally {
    expect(await service.process.end('SIGTERM')).toBe(0)
  }
})

test('a start that fails when its stores are open ends, and does not keep its connections', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => {
    other.listen(0, '127.0.0.1', resolve)
  })
  const [command, ...args] = SERVE
  const started = startProcess(command, args, {
    cwd: folder.path,
    env: {
      ...inherited(),
      ...servers.environment,
      TALLYMAN_DATA_DIR: folder.path,
      TALLYMAN_USERS_KEY: KEY,
      TALLYMAN_NOTIFICATION_TOKENS: NOTIFICATION_TOKEN,
      TALLYMAN_LISTEN: `127.0.0.1:${(other.address() as AddressInfo).port}`,
    },
  })
  try {
    await eventually('the process ends by itself', async () => Promise.resolve(started.child.exitCode !== null))
    expect(started.child.exitCode).toBe(1)
    expect(started.output()).toContain('another program listens there')
  } finally {
    await started.end()
    other.close()
  }
})
