import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { Overloaded } from '../../src/ingest/batches.js'
import { connectRedis } from '../../src/storage/sketches/redis-connection.js'
import { createWriteCheck, type WriteCheck } from '../../src/service/write-check.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { startPostgres, type PostgresServer } from '../servers/postgres.js'
import { eventually } from '../servers/process.js'
import { startRedis, type RedisServer } from '../servers/redis.js'

const failure = (code: string): Error => Object.assign(new Error('quotes what was sent'), { code })

const open = (): {
  writes: WriteCheck
  pass: (ms: number) => void
  probes: () => number
  fails: (error?: Error) => void
} => {
  let at = 0
  let probes = 0
  let error: Error | undefined
  const probe = async (): Promise<void> => {
    probes++
    return error === undefined ? Promise.resolve() : Promise.reject(error)
  }
  return {
    writes: createWriteCheck({ probe, elapsed: () => at }),
    pass: (ms) => (at += ms),
    probes: () => probes,
    fails: (one) => (error = one),
  }
}

describe('whether writes work', () => {
  test('is known from a probe, of which there is at most one in three seconds', async () => {
    const { writes, pass, probes, fails } = open()
    expect(await Promise.all([writes.check(), writes.check()])).toEqual([{ ok: true }, { ok: true }])
    fails(failure('53100'))
    pass(2_999)
    expect(await writes.check()).toEqual({ ok: true })
    expect(probes()).toBe(1)
    pass(1)
    expect(await writes.check()).toEqual({ ok: false, reason: 'the disk of the database is full' })
  })

  test('is known from a notification that was not stored, until one is or ten seconds have passed', async () => {
    const { writes, pass } = open()
    writes.failed(failure('53200'))
    expect(await writes.check()).toEqual({ ok: false, reason: 'the database is out of memory or locks' })
    writes.succeeded()
    expect(await writes.check()).toEqual({ ok: true })
    writes.failed(new AggregateError([failure('ECONNREFUSED')]))
    expect(await writes.check()).toEqual({ ok: false, reason: 'a store does not answer' })
    pass(10_000)
    expect(await writes.check()).toEqual({ ok: true })
  })

  test('is known from a notification that was stored since the last probe, and from the next probe after that', async () => {
    const { writes, pass, fails } = open()
    fails(failure('53100'))
    expect(await writes.check()).toMatchObject({ ok: false })
    pass(1)
    writes.succeeded()
    expect(await writes.check()).toEqual({ ok: true })
    pass(2_999)
    expect(await writes.check()).toMatchObject({ ok: false })
  })

  test('is not known from too many notifications, nor from an event that finds a defect', async () => {
    const { writes } = open()
    writes.failed(new Overloaded('too many'))
    writes.failed(new TypeError('x is undefined'))
    expect(await writes.check()).toEqual({ ok: true })
  })

  test.each(['21000', '22P02', '22021', '23502', '54000', '40001', '40P01'])(
    'is not known from SQLSTATE %s: the content of one notification, or a conflict',
    async (code) => {
      const { writes } = open()
      writes.failed(new Error('a batch', { cause: failure(code) }))
      expect(await writes.check()).toEqual({ ok: true })
      writes.failed(new AggregateError([failure(code), failure('42501')]))
      expect(await writes.check()).toMatchObject({ ok: false })
    },
  )

  test.each(['2200H', '23505'])('fail with SQLSTATE %s: the database must be repaired', async (code) => {
    const { writes } = open()
    writes.failed(failure(code))
    expect(await writes.check()).toMatchObject({ ok: false, reason: expect.stringContaining(code) })
  })

  test.each([
    ['READONLY You can’t write against a read only replica.', 'Redis refuses them (READONLY)'],
    ['MISCONF Redis is configured to save RDB snapshots', 'Redis refuses them (MISCONF)'],
    ['Command timed out', 'a store does not answer'],
  ])('%s: %s', async (message, reason) => {
    const { writes } = open()
    writes.failed(new Error('a batch', { cause: new Error(message) }))
    expect(await writes.check()).toEqual({ ok: false, reason })
  })
})

test('/readyz says that writes fail while a damaged sketch stops notifications', async () => {
  const redis = await startRedis()
  const app = await openApp({ REDIS_URL: redis.url })
  const client = connectRedis(redis.url)
  try {
    const push = async (): Promise<number> => (await app.notify({ events: [notified()] })).status
    expect(await push()).toBe(200)
    const [key = ''] = await client.keys('{hll_counters}_*')
    await client.set(key, 'no sketch')
    // Members of the first user are known to be stored, and would not be sent.
    const other = notified({ actor: { name: 'bob', user_type: 'build' } })
    expect((await app.notify({ events: [other] })).status).toBe(502)
    const response = await fetch(`${app.url}/readyz`)
    expect([response.status, await response.json()]).toEqual([503, expect.objectContaining({ writes: 'fail' })])
    const { writes } = (await (await app.get('/status')).json()) as { writes: unknown }
    expect(writes).toEqual({ ok: false, reason: expect.stringContaining(`${key} is no sketch that can be counted`) })
    await client.del(key)
    expect((await app.notify({ events: [other] })).status).toBe(200)
    expect((await fetch(`${app.url}/readyz`)).status).toBe(200)
  } finally {
    client.disconnect()
    await app.close()
    await redis.stop()
  }
})

describe('/readyz while stores answer and take no writes', () => {
  let redis: RedisServer
  let postgres: PostgresServer
  let app: TestApp
  beforeAll(async () => {
    ;[redis, postgres] = await Promise.all([startRedis(), startPostgres()])
    app = await openApp({ REDIS_URL: redis.url, DATABASE_URL: postgres.url })
  })
  afterAll(async () => {
    await app.close()
    await Promise.all([redis.stop(), postgres.stop()])
  })

  const ready = async (): Promise<{ status: number; writes: string }> => {
    const response = await fetch(`${app.url}/readyz`)
    return { status: response.status, writes: ((await response.json()) as { writes: string }).writes }
  }
  const READY = { status: 200, writes: 'work' }
  const NOT_READY = { status: 503, writes: 'fail' }
  const reason = async (): Promise<unknown> => ((await (await app.get('/status')).json()) as { writes: unknown }).writes
  /** Waits until probes alone say so: no notification comes. */
  const eventuallyIs = async (expected: object): Promise<void> => {
    await eventually(JSON.stringify(expected), async () => JSON.stringify(await ready()) === JSON.stringify(expected))
  }

  test.each([
    ['Redis is full', ['maxmemory', '1'], ['maxmemory', '0'], 'Redis refuses them (OOM)'],
    [
      'Redis has too few replicas',
      ['min-replicas-to-write', '1'],
      ['min-replicas-to-write', '0'],
      'Redis refuses them (NOREPLICAS)',
    ],
  ] as const)('%s', async (_, spoil, mend, expected) => {
    const client = connectRedis(redis.url)
    await eventuallyIs(READY)
    await client.config('SET', ...spoil)
    await eventuallyIs(NOT_READY)
    expect(await reason()).toEqual({ ok: false, reason: expected })
    await client.config('SET', ...mend)
    await eventuallyIs(READY)
    await client.quit()
  })

  test('PostgreSQL is read-only, and /status can still be read', async () => {
    const db = app.app.core.stores.database.sql
    await eventuallyIs(READY)
    // Of the service's open sessions as well.
    await sql`alter system set default_transaction_read_only = on`.execute(db)
    await sql`select pg_reload_conf()`.execute(db)
    await eventuallyIs(NOT_READY)
    expect(await reason()).toEqual({ ok: false, reason: 'PostgreSQL is read-only' })
    expect((await app.notify({ events: [notified()] })).status).toBe(503)
    const superuser = await import('pg')
    const client = new superuser.default.Client({ connectionString: postgres.url })
    await client.connect()
    await client.query('set default_transaction_read_only = off')
    await client.query('alter system reset default_transaction_read_only')
    await client.query('select pg_reload_conf()')
    await client.end()
    await eventually('it stores again', async () => (await app.notify({ events: [notified()] })).status === 200)
    expect(await ready()).toEqual(READY)
  })
})
