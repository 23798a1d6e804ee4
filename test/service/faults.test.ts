import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { openPglite } from '../../src/storage/pglite.js'
import { openPostgres } from '../../src/storage/postgres.js'
import { connectRedis } from '../../src/storage/redis-connection.js'
import { createRedisSketches } from '../../src/storage/redis-sketches.js'
import type { Database } from '../../src/storage/database.js'
import { HyperLogLog } from '../../src/storage/hyperloglog/hyperloglog.js'
import type { SketchStore } from '../../src/storage/sketch-store.js'
import { createSqlSketches } from '../../src/storage/sql-sketches.js'
import { createHashedNames } from '../../src/users/hashed-names.js'
import { notified } from '../servers/app.js'
import { startPostgres, type PostgresServer } from '../servers/postgres.js'
import { eventually } from '../servers/process.js'
import { startRedis, type RedisServer } from '../servers/redis.js'
import { startService, type Service } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

const PUSHERS = 'i_container_registry_push_tag_user'
/** Answered before and after each disaster, however slow the machine: it strikes under load. */
const ANSWERED = 200
/** Who is behind an event that a test does not say more of. */
const alice: Sender = { name: 'alice', event: {}, answers: [] }

type Sender = { name: string; event: Record<string, unknown>; answers: number[] }

type Load = {
  /** Waits until more have been answered. */
  more: () => Promise<void>
  /** Waits until an event was answered so; 0 stands for no answer. */
  until: (status: number) => Promise<void>
  stop: () => Promise<Sender[]>
}

/**
 * Sends events as a registry does: one at a time on each of a few lines, the same one again until it is answered 2xx.
 * Everyone who pushes pushes once, so that a lost or doubled event shows.
 */
const sendLikeRegistries = (serviceNow: () => Service, people: number): Load => {
  const sent: Sender[] = []
  let stopping = false
  const deliver = async (sender: Sender): Promise<void> => {
    for (;;) {
      const status = await serviceNow()
        .notify({ events: [sender.event] })
        .then(async (response) => {
          await response.arrayBuffer()
          return response.status
        })
        .catch(() => 0)
      sender.answers.push(status)
      if (status === 200) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const line = async (): Promise<void> => {
    while (!stopping && sent.length < people) {
      const name = `person-${sent.length}`
      const sender = { name, event: notified({ actor: { name, user_type: 'build' } }), answers: [] }
      sent.push(sender)
      await deliver(sender)
    }
  }
  const lines = Array.from({ length: 8 }, line)
  const answered = (): number => sent.filter(({ answers }) => answers.at(-1) === 200).length
  return {
    more: async () => {
      const enough = answered() + ANSWERED
      await eventually(`${ANSWERED} more events are answered`, async () => Promise.resolve(answered() >= enough))
    },
    until: async (status) => {
      await eventually(`an event is answered ${status}`, async () =>
        Promise.resolve(sent.some(({ answers }) => answers.includes(status))),
      )
    },
    stop: async () => {
      stopping = true
      await Promise.all(lines)
      return sent
    },
  }
}

/** The key that names are hashed with, so that a test can tell exactly what a sketch must hold. */
const USERS_KEY = 'a key for the tests'

type Truth = { pushes: number; ids: number; pushers: Uint8Array }

/** What the stores hold, read beside the service. */
const readTruth = async (database: Database, sketches: SketchStore): Promise<Truth> => {
  const { rows } = await sql<{ pushes: string; ids: string }>`
    select (select sum(value) from tallies where name = 'i_container_registry_push') as pushes, (select count(*) from event_ids) as ids
  `.execute(database.sql)
  const pushers = new HyperLogLog()
  for await (const { key, bytes } of sketches.entries(`{hll_counters}_${PUSHERS}-`)) {
    if (!key.includes('-M')) pushers.merge(new HyperLogLog(bytes))
  }
  return { pushes: Number(rows[0]?.pushes), ids: Number(rows[0]?.ids), pushers: pushers.registers() }
}

/** What the stores must hold when these people have pushed once each: nobody missing, nobody twice. */
const expectedTruth = (people: readonly Sender[]): Truth => {
  const hashed = createHashedNames(USERS_KEY)
  const pushers = new HyperLogLog()
  for (const { name } of people) pushers.add(hashed.idOf(name))
  return { pushes: people.length, ids: people.length, pushers: pushers.registers() }
}

describe('with Redis and PostgreSQL', () => {
  let redis: RedisServer
  let postgres: PostgresServer
  let service: Service
  let folder: ReturnType<typeof embeddedFolder>
  const environment = (): Record<string, string> => ({
    REDIS_URL: redis.url,
    DATABASE_URL: postgres.url,
    TALLYMAN_USERS_KEY: USERS_KEY,
  })

  beforeEach(async () => {
    folder = embeddedFolder()
    ;[redis, postgres] = await Promise.all([startRedis(), startPostgres()])
    service = await startService(folder.path, environment())
  })
  afterEach(async () => {
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

  /** Sends under load while something dies, then compares what was answered with what is stored. */
  const survive = async (disaster: (load: Load) => Promise<void>): Promise<void> => {
    const load = sendLikeRegistries(() => service, 100_000)
    await load.more()
    await disaster(load)
    await load.more()
    const sent = await load.stop()
    expect(sent.length).toBeGreaterThanOrEqual(2 * ANSWERED)
    expect(sent.every(({ answers }) => answers.at(-1) === 200)).toBe(true)
    expect(await truth()).toEqual(expectedTruth(sent))
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
    const event = notified()
    await Promise.all([redis.kill(), postgres.kill()])
    for (let i = 0; i < 3; i++) {
      const answers = await Promise.all(Array.from({ length: 20 }, async () => answerTo(event)))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
    }
    expect((await answerTo(event)).body).toEqual({
      message:
        '503 Service Unavailable: a store does not answer; it may be stored in part, send it again: nothing counts twice',
    })
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200)
    expect((await fetch(`${service.url}/readyz`)).status).toBe(503)
    await Promise.all([redis.start(), postgres.start()])
    await eventually('it counts again', async () => (await answerTo(event)).status === 200)
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200)
    expect(await truth()).toEqual(expectedTruth([alice]))
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
    const event = notified()
    expect((await answerTo(event)).status).toBe(503)
    await redis.start()
    expect(await truth()).toEqual(expectedTruth([]))
    await eventually('it counts again', async () => (await answerTo(event)).status === 200)
    expect(await truth()).toEqual(expectedTruth([alice]))
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
    service = await startService(folder.path, { TALLYMAN_USERS_KEY: USERS_KEY })
  })
  afterEach(async () => {
    await service.process.end('SIGKILL')
    folder.remove()
  })

  test('kill -9 under load: what was answered is stored, none is missing, none is counted twice', async () => {
    const load = sendLikeRegistries(() => service, 100_000)
    for (let i = 0; i < 2; i++) {
      await load.more()
      await service.process.end('SIGKILL')
      service = await startService(folder.path, { TALLYMAN_USERS_KEY: USERS_KEY })
    }
    const sent = await load.stop()
    await service.process.end('SIGKILL')

    const database = await openPglite(folder.path)
    const found = await readTruth(database, createSqlSketches(database))
    await database.close()
    expect(sent.length).toBeGreaterThanOrEqual(2 * ANSWERED)
    expect(found).toEqual(expectedTruth(sent))
  })

  test('a second service on the same directory refuses, and says what to do; the first goes on', async () => {
    const second = startService(folder.path, { TALLYMAN_USERS_KEY: USERS_KEY })
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
