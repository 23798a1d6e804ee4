import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { connectRedis } from '../../../src/storage/sketches/redis-connection.js'
import { createRedisSketches } from '../../../src/storage/sketches/redis-sketches.js'
import { isStorageUnavailable } from '../../../src/storage/unavailable.js'
import { eventually } from '../../servers/process.js'
import { startRedis, type RedisServer } from '../../servers/redis.js'
import { startRedisSentinel } from '../../servers/redis-sentinel.js'
import { startTcpProxy } from '../../servers/tcp-proxy.js'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => redis.stop())

test('a connection that carries nothing any more, without being closed, is replaced', async () => {
  const proxy = await startTcpProxy(redis.port)
  const client = connectRedis(`redis://127.0.0.1:${proxy.port}`)
  try {
    await client.ping()
    proxy.forgetConnections()
    await expect(client.ping()).rejects.toThrow(/timed out/)
    await eventually('it answers again', async () => client.ping().then(() => true))
    expect(proxy.connections()).toBe(2)
  } finally {
    client.disconnect()
    await proxy.stop()
  }
})

describe('a master that became a replica and kept its connections open is left', () => {
  const KEY = '{hll_counters}_x-2026-48'
  const SETTINGS = ['--appendonly', 'no', '--repl-diskless-sync-delay', '0']
  let first: RedisServer
  let second: RedisServer
  let from: Redis
  let to: Redis
  beforeEach(async () => {
    first = await startRedis(SETTINGS)
    second = await startRedis([...SETTINGS, '--replicaof', `127.0.0.1 ${first.port}`])
    ;[from, to] = [new Redis(first.url), new Redis(second.url)]
    await eventually('the replica follows', async () => (await to.role())[3] === 'connected')
  })
  afterEach(async () => {
    for (const client of [from, to]) client.disconnect()
    await Promise.all([first.stop(), second.stop()])
  })

  const replicaOf = async (): Promise<void> => {
    await to.replicaof('NO', 'ONE')
    await from.replicaof('127.0.0.1', second.port)
  }
  const failOver = async (): Promise<void> => {
    await from.failover()
    const roles = async (): Promise<string> => [(await from.role())[0], (await to.role())[0]].join()
    await eventually('the roles are swapped', async () => (await roles()) === 'slave,master')
  }
  /** Writes as the service does, in a pipeline: one write is refused, and those of the next seconds are not. */
  const expectRecovery = async (url: string, swap: () => Promise<void>): Promise<void> => {
    const client = connectRedis(url)
    const { addAlone } = createRedisSketches(client)
    const add = async (member: string): Promise<void> =>
      addAlone([{ key: KEY, members: new Set([member]), seconds: 60 }])
    try {
      await add('alice')
      await eventually('it is replicated', async () => (await to.pfcount(KEY)) === 1)
      await swap()
      const refused = await add('bob').catch((error: unknown) => error as Error)
      expect(refused?.message).toMatch(/^READONLY /)
      expect(isStorageUnavailable(refused)).toBe(true)
      await eventually('writes succeed', async () => add('bob').then(() => true), 5)
      expect(await to.pfcount(KEY)).toBe(2)
    } finally {
      client.disconnect()
    }
  }

  test.each([
    ['REPLICAOF', replicaOf],
    ['FAILOVER', failOver],
  ])('%s behind a proxy', async (_, swap) => {
    const proxy = await startTcpProxy(first.port)
    try {
      await expectRecovery(`redis://127.0.0.1:${proxy.port}`, async () => {
        await swap()
        proxy.redirect(second.port)
        expect(proxy.connections()).toBe(1)
      })
      expect(proxy.connections()).toBe(2)
    } finally {
      await proxy.stop()
    }
  })

  test('a Sentinel that has another master', async () => {
    const sentinel = await startRedisSentinel(first)
    const client = new Redis(sentinel.port)
    try {
      await expectRecovery(sentinel.url, async () => {
        await client.call('SENTINEL', 'REMOVE', 'main')
        await replicaOf()
        await client.call('SENTINEL', 'MONITOR', 'main', '127.0.0.1', second.port, 1)
      })
    } finally {
      client.disconnect()
      await sentinel.stop()
    }
  })

  test('a replica whose master is unavailable, which refuses reads', async () => {
    const proxy = await startTcpProxy(second.port)
    const client = connectRedis(`redis://127.0.0.1:${proxy.port}`)
    try {
      await to.config('SET', 'replica-serve-stale-data', 'no')
      await client.ping()
      await first.kill()
      await eventually('reads are refused', async () =>
        client.get('x').then(
          () => false,
          (error: unknown) => (error as Error).message.startsWith('MASTERDOWN '),
        ),
      )
      await first.start()
      await from.replicaof('NO', 'ONE')
      proxy.redirect(first.port)
      await eventually('reads and writes succeed', async () => client.set('x', 'y').then(() => true), 5)
    } finally {
      client.disconnect()
      await proxy.stop()
    }
  })
})
