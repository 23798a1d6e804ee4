import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { sql } from 'kysely'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { fixedClock, NOW } from '../servers/clock.js'
import { freePort, temporaryFolder } from '../servers/process.js'
import { startRedis } from '../servers/redis.js'
import { USERS_KEY } from '../servers/service.js'
import { createDatabase } from '../servers/shared.js'
import { openServers } from '../servers/stores.js'
import { tallyman, type Result } from '../servers/tallyman.js'

const BINDING = 'tallyman:installation'
const DAY_MS = 86_400_000

let servers: Awaited<ReturnType<typeof openServers>>
let redis: Redis
let folder: ReturnType<typeof temporaryFolder>
beforeEach(async () => {
  servers = await openServers()
  redis = new Redis(servers.environment.REDIS_URL)
  folder = temporaryFolder('bound')
})
afterEach(async () => {
  redis.disconnect()
  folder.remove()
  await servers.close()
})

type Environment = Record<string, string>
const environment = (): Environment => ({ ...servers.environment, TALLYMAN_USERS_KEY: USERS_KEY })
/** Runs a service for as long as work takes. */
const serving = async <T>(
  work: (app: TestApp) => Promise<T>,
  given: Environment = environment(),
  now = fixedClock,
): Promise<T> => {
  const app = await openApp(given, now)
  try {
    return await work(app)
  } finally {
    await app.close()
  }
}
const uuidOf = async ({ app }: TestApp): Promise<string> => Promise.resolve(app.core.installation.uuid)
const push = async (app: TestApp): Promise<void> => {
  expect((await app.notify({ events: [notified()] })).status).toBe(200)
}
/** What `GET /status` says of Redis. */
const warningsOf = async (app: TestApp): Promise<string[]> => {
  const { warnings } = (await (await app.get('/status')).json()) as { warnings: string[] }
  return warnings.filter((warning) => warning.startsWith('Redis '))
}
const command = async (given: Environment, ...args: string[]): Promise<Result> =>
  tallyman({ ...given, TALLYMAN_DATA_DIR: folder.path }, ...args)

const LOST = expect.stringMatching(/^Redis lost its counters \(found at 2026-11-21T12:00:00.000Z\): FLUSHALL, eviction/)
const OTHER = /Redis contains the counters of another installation .* delete the key tallyman:installation in Redis/

test('a Redis of another installation is refused by the service and by commands, until its key is deleted', async () => {
  const first = await serving(async (app) => {
    await push(app)
    return uuidOf(app)
  })
  const { url, drop } = await createDatabase()
  const other = { ...environment(), DATABASE_URL: url, TALLYMAN_USERS_KEY: 'another key of other users' }
  try {
    const before = await redis.dbsize()
    await expect(serving(uuidOf, other)).rejects.toThrow(OTHER)
    const file = join(folder.path, 'exported')
    const own = await command(environment(), 'counters', 'export', file)
    expect(own).toMatchObject({ code: 0, err: '' })
    for (const args of [
      ['counters', 'list'],
      ['counters', 'export', join(folder.path, 'x')],
      ['counters', 'import', file],
      ['status'],
    ]) {
      expect(await command(other, ...args)).toMatchObject({
        code: 1,
        err: expect.stringMatching(OTHER) as unknown,
        out: '',
      })
    }
    expect([await redis.get(BINDING), await redis.dbsize()]).toEqual([first, before])

    await redis.del(BINDING)
    const second = await serving(uuidOf, other)
    expect(await redis.get(BINDING)).toBe(second)
    await expect(serving(uuidOf)).rejects.toThrow(OTHER)
  } finally {
    await drop()
  }
})

test('a command binds nothing, and lists and exports no key of the binding', async () => {
  expect(await command(environment(), 'counters', 'list')).toMatchObject({ code: 0 })
  expect(await redis.keys('*')).toEqual([])
  await serving(push)
  expect(await redis.get(BINDING)).not.toBeNull()
  const file = join(folder.path, 'exported')
  expect(await command(environment(), 'counters', 'export', file)).toMatchObject({ code: 0 })
  const { out } = await command(environment(), 'counters', 'list', '--json')
  for (const text of [out, readFileSync(file, 'utf8')]) {
    expect(text).toContain('hll_counters')
    expect(text).not.toContain(BINDING)
  }
})

test('an installation that counted before there were bindings is bound without a word', async () => {
  await serving(async (app) => {
    await push(app)
    await sql`update installation set sketches_bound_at = null`.execute(app.app.core.stores.database.sql)
  })
  await redis.del(BINDING)
  await serving(async (app) => {
    expect(await redis.get(BINDING)).toBe(await uuidOf(app))
    expect([await warningsOf(app), app.log().filter((line) => line.includes('Redis '))]).toEqual([[], []])
  })
})

test('instances that start for the first time at once lose nothing', async () => {
  const apps = await Promise.all([1, 2, 3, 4].map(async () => openApp(environment())))
  const warnings = await Promise.all(apps.map(warningsOf))
  await Promise.all(apps.map(async (app) => app.close()))
  expect(warnings.flat()).toEqual([])
})

test('lost counters are reported at once and after a restart, for 42 days', async () => {
  await serving(async (app) => {
    await push(app)
    expect(await warningsOf(app)).toEqual([])
    await redis.flushdb()
    expect(await warningsOf(app)).toEqual([LOST])
  })
  await serving(async (app) => {
    expect(await warningsOf(app)).toEqual([LOST])
    expect(app.log().filter((line) => line.includes('Redis lost its counters'))).toHaveLength(1)
    expect((await command(environment(), 'status')).out).toContain('Redis lost its counters')
  })
  const after = (days: number) => (): Date => new Date(NOW.getTime() + days * DAY_MS)
  await serving(
    async (app) => {
      expect(await warningsOf(app)).toEqual([LOST])
    },
    environment(),
    after(41),
  )
  await serving(
    async (app) => {
      expect(await warningsOf(app)).toEqual([])
    },
    environment(),
    after(42),
  )
})

test.each([
  ['before the next start', async () => Promise.resolve()],
  [
    'after a start that found the loss',
    async () =>
      serving(async (app) => {
        expect(await warningsOf(app)).toEqual([LOST])
      }),
  ],
])('an import ends the warning, %s', async (_, between) => {
  const file = join(folder.path, 'exported')
  await serving(push)
  expect(await command(environment(), 'counters', 'export', file)).toMatchObject({ code: 0 })
  await redis.flushdb()
  await between()
  expect(await command(environment(), 'counters', 'import', file)).toMatchObject({ code: 0, err: '' })
  await serving(async (app) => {
    expect(await warningsOf(app)).toEqual([])
    expect(await redis.get(BINDING)).toBe(await uuidOf(app))
  })
  await redis.flushdb()
  await serving(async (app) => {
    expect(await warningsOf(app)).toEqual([LOST])
  })
})

test('a Redis that another installation took while the service ran is reported', async () => {
  await serving(async (app) => {
    await redis.set(BINDING, 'not a\nuuid')
    expect(await warningsOf(app)).toEqual([expect.stringMatching(OTHER)])
  })
})

test('commands work without a Redis that answers, as far as they do without it', async () => {
  await serving(push)
  const away = { ...environment(), REDIS_URL: `redis://127.0.0.1:${await freePort()}` }
  expect((await command(away, 'status')).out).toContain('redis does not answer')
  expect(await command(away, 'registries')).toMatchObject({ code: 0, err: '' })
})

test('a Redis that is bound and takes no writes at the moment does not keep the service from starting', async () => {
  const full = await startRedis()
  const client = new Redis(full.url)
  const given = { ...environment(), REDIS_URL: full.url }
  try {
    await serving(push, given)
    await client.config('SET', 'maxmemory', '1')
    await serving(async (app) => {
      expect((await app.notify({ events: [notified()] })).status).toBe(503)
    }, given)
  } finally {
    client.disconnect()
    await full.stop()
  }
})
