import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { openPglite } from '../../src/storage/embedded/pglite.js'
import { openPostgres } from '../../src/storage/sql/postgres.js'
import { connectRedis } from '../../src/storage/sketches/redis-connection.js'
import { createRedisSketches } from '../../src/storage/sketches/redis-sketches.js'
import { createSqlSketches } from '../../src/storage/sketches/sql-sketches.js'
import { notified } from '../servers/app.js'
import { startPostgres, type PostgresServer } from '../servers/postgres.js'
import { eventually } from '../servers/process.js'
import { startRedis, type RedisServer } from '../servers/redis.js'
import {
  abandonLoads,
  expectedTruth,
  pushOf,
  readTruth,
  sendLikeRegistries,
  type Load,
  type Truth,
} from '../servers/registry-load.js'
import { runs } from '../servers/runs.js'
import { startService, type Service } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

/** Who is behind an event that a test does not say more of. */
const ALICE = ['alice']
/** How often each store is killed: `RUNS_FACTOR=20` for 20 times. */
const CRASHES = runs(1).numRuns

describe('with Redis and PostgreSQL', () => {
  let redis: RedisServer
  let postgres: PostgresServer
  let service: Service
  let folder: ReturnType<typeof embeddedFolder>
  const environment = (): Record<string, string> => ({
    REDIS_URL: redis.url,
    DATABASE_URL: postgres.url,
  })

  beforeEach(async () => {
    folder = embeddedFolder()
    ;[redis, postgres] = await Promise.all([startRedis(), startPostgres()])
    service = await startService(folder.path, environment())
  })
  afterEach(async () => {
    abandonLoads()
    await service.process.end('SIGKILL')
    await Promise.all([redis.stop(), postgres.stop()])
    folder.remove()
  })

  const truth = async (): Promise<Truth> => {
    const database = openPostgres(postgres.url)
    const sketches = createRedisSketches(connectRedis(redis.url))
    const found = await readTruth(database, sketches)
    await sketches.close()
    await database.close()
    return found
  }

  /** Sends under load while something dies, again and again, then compares what was answered with what is stored. */
  const survive = async (disaster: (load: Load) => Promise<void>): Promise<void> => {
    const load = sendLikeRegistries(() => service)
    await load.more()
    for (let crash = 0; crash < CRASHES; crash++) {
      await disaster(load)
      await load.more()
    }
    const names = await load.stop()
    expect(await truth()).toEqual(expectedTruth(names))
  }

  test('kill -9 of the service under load: what was answered is stored, what was not is counted when it comes again', async () => {
    await survive(async (load) => {
      await service.process.end('SIGKILL')
      await load.until(0)
      service = await startService(folder.path, environment())
    })
  })

  test('kill -9 of Redis under load: 503, nothing lost, nothing twice, and on by itself', async () => {
    await survive(async (load) => {
      await redis.kill()
      await load.until(503)
      await redis.start()
    })
  })

  test('kill -9 of PostgreSQL under load: 503, nothing lost, nothing twice, and on by itself', async () => {
    await survive(async (load) => {
      await postgres.kill()
      await load.until(503)
      await postgres.start()
    })
  })

  const answerTo = async (event: object): Promise<{ status: number; body: unknown }> => {
    const response = await service.notify({ events: [event] })
    return { status: response.status, body: await response.json() }
  }

  test('both stores away: 503 for everyone, alive but not ready, and on by itself', async () => {
    const event = pushOf('alice')
    await Promise.all([redis.kill(), postgres.kill()])
    for (let i = 0; i < 3; i++) {
      const answers = await Promise.all(Array.from({ length: 20 }, async () => answerTo(event)))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
    }
    expect((await answerTo(event)).body).toEqual({
      message:
        '503 Service Unavailable: a store does not answer; the data may be stored in part. Send the request again: nothing counts twice',
    })
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200)
    expect((await fetch(`${service.url}/readyz`)).status).toBe(503)
    await Promise.all([redis.start(), postgres.start()])
    await eventually('it counts again', async () => (await answerTo(event)).status === 200)
    await eventually('it is ready', async () => (await fetch(`${service.url}/readyz`)).ok)
    expect(await truth()).toEqual(expectedTruth(ALICE))
    expect(service.process.output()).not.toMatch(/\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}:\d+.*ECONNREFUSED/)
  })

  test('stores that hang without closing: 503 while they hang, and on by itself', async () => {
    const event = notified()
    await answerTo(event)
    for (const pid of [redis.pid(), postgres.pid()]) process.kill(pid, 'SIGSTOP')
    // PostgreSQL's backends are processes of their own.
    const backends = await postgres.backends()
    for (const pid of backends) process.kill(pid, 'SIGSTOP')
    const answers = await Promise.all(Array.from({ length: 20 }, async () => answerTo(notified())))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
    expect((await fetch(`${service.url}/readyz`)).status).toBe(503)
    for (const pid of [redis.pid(), postgres.pid(), ...backends]) process.kill(pid, 'SIGCONT')
    await eventually('it counts again', async () => (await answerTo(event)).status === 200)
  })

  test('only Redis away: nothing at all is stored of what is answered 503', async () => {
    await redis.kill()
    const event = pushOf('alice')
    expect((await answerTo(event)).status).toBe(503)
    await redis.start()
    expect(await truth()).toEqual(expectedTruth([]))
    await eventually('it counts again', async () => (await answerTo(event)).status === 200)
    expect(await truth()).toEqual(expectedTruth(ALICE))
  })

  test('the status says which store is away, and a command what is wrong with DATABASE_URL', async () => {
    await postgres.kill()
    const answer = await service.get('/status')
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({
      message: expect.stringMatching(/^503 Service Unavailable: postgresql does not answer/),
      stores: { postgresql: { ok: false }, redis: { ok: true } },
    })
    await postgres.start()
    const unknown = { ...environment(), DATABASE_URL: postgres.url.replace(/tallyman$/, 'nobody') }
    await expect(startService(folder.path, unknown)).rejects.toThrow(/"nobody" does not exist.*create the database/)
  })

  test('a start before the stores are up waits for them', async () => {
    await service.process.end('SIGTERM')
    await postgres.kill()
    const starting = startService(folder.path, environment())
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    await postgres.start()
    service = await starting
    expect((await answerTo(notified())).status).toBe(200)
  })
})

describe('with the embedded stores', () => {
  let folder: ReturnType<typeof embeddedFolder>
  let service: Service
  beforeEach(async () => {
    folder = embeddedFolder()
    service = await startService(folder.path)
  })
  afterEach(async () => {
    abandonLoads()
    await service.process.end('SIGKILL')
    folder.remove()
  })

  test('kill -9 under load: what was answered is stored, none is missing, none is counted twice', async () => {
    const load = sendLikeRegistries(() => service)
    for (let crash = 0; crash < CRASHES; crash++) {
      await load.more()
      await service.process.end('SIGKILL')
      service = await startService(folder.path)
    }
    await load.more()
    const names = await load.stop()
    await service.process.end('SIGKILL')

    const database = await openPglite(folder.path)
    const found = await readTruth(database, createSqlSketches(database))
    await database.close()
    expect(found).toEqual(expectedTruth(names))
  })

  test('a second service on the same directory refuses, and says what to do; the first goes on', async () => {
    const second = startService(folder.path)
    await expect(second).rejects.toThrow(
      /data directory .* is in use by process \d+ on .*; stop it first, or set TALLYMAN_DATA_DIR/,
    )
    expect((await service.notify({ events: [notified()] })).status).toBe(200)
  })
})

test.each([
  ['the embedded stores', false],
  ['Redis and PostgreSQL', true],
])('SIGTERM under load with %s: the batch is finished, the exit code is 0', async (_, servers) => {
  const folder = embeddedFolder()
  const redis = servers ? await startRedis() : undefined
  const postgres = servers ? await startPostgres() : undefined
  const environment = { ...(redis && { REDIS_URL: redis.url }), ...(postgres && { DATABASE_URL: postgres.url }) }
  const service = await startService(folder.path, environment)
  const answered: Promise<number>[] = []
  let counted = 0
  const load = setInterval(() => {
    answered.push(
      service.notify({ events: [notified()] }).then(
        ({ status }) => {
          if (status === 200) counted++
          return status
        },
        () => 0,
      ),
    )
  }, 2)
  await eventually('some events are counted', async () => Promise.resolve(counted > 20))
  const code = await service.process.end('SIGTERM')
  clearInterval(load)
  expect(code).toBe(0)
  const statuses = await Promise.all(answered)
  expect(statuses.filter((status) => status !== 200 && status !== 0)).toEqual([])
  await Promise.all([redis?.stop(), postgres?.stop()])
  folder.remove()
})

test('SIGTERM while a ping waits for its time: the exit code is 0', async () => {
  const folder = embeddedFolder()
  const service = await startService(folder.path, { TALLYMAN_PING_CRON: '* * * * * *' })
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  expect(await service.process.end('SIGTERM')).toBe(0)
  folder.remove()
})
