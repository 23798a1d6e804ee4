import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { eventually, inherited, startProcess, temporaryFolder } from '../servers/process.js'
import { NOTIFICATION_TOKEN, SERVE, startService } from '../servers/service.js'
import { embeddedFolder, openServers } from '../servers/stores.js'

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

test('a first start on an address in use creates no database', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => {
    other.listen(0, '127.0.0.1', resolve)
  })
  const data = join(folder.path, 'never')
  const listen = `127.0.0.1:${(other.address() as AddressInfo).port}`
  const [command, ...args] = SERVE
  const env = { ...inherited(), TALLYMAN_DATA_DIR: data, TALLYMAN_LISTEN: listen }
  const started = startProcess(command, args, { cwd: folder.path, env })
  try {
    await eventually('the process ends by itself', async () => Promise.resolve(started.child.exitCode !== null))
    expect(started.output()).toContain(`cannot listen on ${listen}: another program listens there`)
    expect(existsSync(data)).toBe(false)
  } finally {
    await started.end()
    other.close()
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

describe('a service with the embedded database', () => {
  let embedded: ReturnType<typeof embeddedFolder>
  beforeEach(() => {
    embedded = embeddedFolder('empty')
  })
  afterEach(() => {
    embedded.remove()
  })

  test('makes files for its own user alone, and names a directory that others may enter and a short token', async () => {
    chmodSync(embedded.path, 0o755)
    const files = (): string[] => readdirSync(embedded.path, { recursive: true, encoding: 'utf8' })
    const before = new Set(files())
    const service = await startService(embedded.path, {}, ['sh', '-c', 'umask 022 && exec "$0" "$@"', ...SERVE])
    try {
      const made = files().filter((file) => !before.has(file))
      expect(made.length).toBeGreaterThan(100)
      const open = made.filter((file) => (statSync(join(embedded.path, file)).mode & 0o077) !== 0)
      expect(open).toEqual([])
      expect(readFileSync(`/proc/${service.process.child.pid}/status`, 'utf8')).toMatch(/^Umask:\t0077$/m)
      expect(service.process.output()).toContain('other users may enter the data directory')
      expect(service.process.output()).toContain(
        'api_tokens: token 1 with the scope admin has fewer than 16 characters',
      )
    } finally {
      await service.process.end()
    }
  })

  test('that is damaged ends with a sentence, and does not try again', async () => {
    writeFileSync(join(embedded.path, 'db', 'global', 'pg_control'), 'nonsense')
    const [command, ...args] = SERVE
    const started = startProcess(command, args, {
      cwd: embedded.path,
      env: { ...inherited(), TALLYMAN_DATA_DIR: embedded.path, TALLYMAN_LISTEN: '127.0.0.1:0' },
    })
    await eventually('the process ends by itself', async () => Promise.resolve(started.child.exitCode !== null))
    expect(await started.end()).toBe(1)
    expect(started.output()).toMatch(/^tallyman: the embedded database in .* failed: .*$/m)
    expect(started.output()).not.toContain('waiting for it')
  })
})
