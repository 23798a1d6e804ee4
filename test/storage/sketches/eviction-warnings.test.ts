import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { connectRedis } from '../../../src/storage/sketches/redis-connection.js'
import { createRedisSketches } from '../../../src/storage/sketches/redis-sketches.js'
import { evictionWarnings } from '../../../src/storage/sketches/eviction-warnings.js'
import type { SketchStore } from '../../../src/storage/sketches/sketch-store.js'
import { notified, openApp } from '../../servers/app.js'
import { eventually } from '../../servers/process.js'
import { startRedisCluster } from '../../servers/redis-cluster.js'
import { startRedis, type RedisServer } from '../../servers/redis.js'

const LIMIT = 3_000_000
const BINDING = 'tallyman:installation'
/** Writes more keys with lifetimes than fit: Redis removes the least recently used ones. */
const fill = async (client: Redis): Promise<void> => {
  const text = 'x'.repeat(10_000)
  for (let i = 0; i < 1_000; i++) await client.set(`filler-${i}`, text, 'EX', 1_000)
}

describe('a Redis with a limit of its memory', () => {
  let redis: RedisServer
  let client: Redis
  let sketches: SketchStore
  beforeEach(async () => {
    redis = await startRedis()
    client = new Redis(redis.url)
    sketches = createRedisSketches(connectRedis(redis.url))
  })
  afterEach(async () => {
    await sketches.close()
    client.disconnect()
    await redis.stop()
  })
  const limit = async (policy: string, bytes = LIMIT): Promise<void> => {
    await client.config('SET', 'maxmemory', bytes)
    await client.config('SET', 'maxmemory-policy', policy)
  }

  test.each(['volatile-lru', 'volatile-ttl', 'allkeys-lfu', 'allkeys-random'])(
    'and the policy %s is reported before it removes a key; without a limit it is not',
    async (policy) => {
      await limit(policy, 0)
      expect(await evictionWarnings(sketches)).toEqual([])
      await limit(policy)
      expect(await evictionWarnings(sketches)).toEqual([
        expect.stringMatching(`maxmemory-policy is ${policy}. Set maxmemory-policy noeviction$`),
      ])
      await limit('noeviction')
      expect(await evictionWarnings(sketches)).toEqual([])
    },
  )

  test('that has removed keys is reported also after its policy is right, until its statistics are reset', async () => {
    await limit('volatile-lru')
    await fill(client)
    expect(await evictionWarnings(sketches)).toEqual([
      expect.stringMatching(/It removed \d+ keys since it started: if/),
    ])
    await limit('noeviction', 100_000_000)
    expect(await evictionWarnings(sketches)).toEqual([
      expect.stringMatching(/^Redis removed \d+ keys for lack of memory .* CONFIG RESETSTAT/),
    ])
    await client.config('RESETSTAT')
    expect(await evictionWarnings(sketches)).toEqual([])
  })

  test('that refuses INFO or does not answer is reported elsewhere', async () => {
    await limit('volatile-lru')
    await client.acl('SETUSER', 'default', '-info')
    expect(await evictionWarnings(sketches)).toEqual([])
    await redis.kill()
    expect(await evictionWarnings(sketches)).toEqual([])
  })

  test('and lost counters, but not the key of the installation, is in the status and in the log at the start', async () => {
    await limit('volatile-lru')
    const open = async (): ReturnType<typeof openApp> => openApp({ REDIS_URL: redis.url })
    const app = await open()
    try {
      expect((await app.notify({ events: [notified()] })).status).toBe(200)
      await eventually('all counters are removed', async () => {
        await fill(client)
        return (await client.keys('{hll_counters}*')).length === 0
      })
      expect(await client.exists(BINDING)).toBe(1)
      const { warnings } = (await (await app.get('/status')).json()) as { warnings: string[] }
      expect(warnings.filter((warning) => warning.startsWith('Redis '))).toEqual([
        expect.stringMatching(/^Redis removes counters .* tallyman counters import$/),
      ])
      expect(app.log().filter((line) => line.includes('Redis '))).toHaveLength(1)
      expect(app.log().join('\n')).toContain('"msg":"Redis removes counters if it lacks memory')
    } finally {
      await app.close()
    }
  })
})

test('each master of a Redis Cluster is reported that may remove counters', async () => {
  const cluster = await startRedisCluster()
  const sketches = createRedisSketches(connectRedis(cluster.url))
  const [first = '', second = ''] = cluster.url.replace('redis-cluster://', '').split(',')
  try {
    expect(await evictionWarnings(sketches)).toEqual([])
    for (const host of [first, second]) {
      const client = new Redis(`redis://${host}`)
      await client.config('SET', 'maxmemory', LIMIT)
      await client.config('SET', 'maxmemory-policy', 'volatile-lru')
      client.disconnect()
    }
    const warnings = await evictionWarnings(sketches)
    expect(warnings.sort()).toEqual(
      [first, second].sort().map((host) => expect.stringMatching(`^Redis at ${host} removes counters`) as unknown),
    )
  } finally {
    await sketches.close()
    await cluster.stop()
  }
})
