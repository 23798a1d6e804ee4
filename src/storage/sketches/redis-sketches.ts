import { randomUUID } from 'node:crypto'
import { Cluster, type ChainableCommander, type Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import { createKnownMembers } from './known-members.js'
import {
  DamagedSketch,
  possibleCount,
  type MemoryLimit,
  type SketchAddition,
  type SketchStore,
  type StoredSketch,
} from './sketch-store.js'

/** Members in one PFADD: a larger command blocks Redis's other clients for too long. */
const MEMBERS_PER_COMMAND = 1_000
const KEYS_PER_SCAN = 500
/**
 * The lifetime of a sketch is renewed at most once in this time. Lifetimes are weeks, so a minute does not matter, and half of
 * all commands are saved.
 */
const EXPIRE_AGAIN_AFTER_MS = 60_000
const REMEMBERED_KEYS = 1_000
/**
 * A member is not added again within this time. Most users do several things within a minute, and a registry waits for each round
 * trip.
 */
const KNOWN_FOR_MS = 60_000

/**
 * Sketches in Redis: stand-alone, behind Sentinel, or a Cluster. The keys of one union must be in one slot, so callers give
 * them the same hash tag.
 */
export const createRedisSketches = (redis: Redis | Cluster): SketchStore => {
  const expiring = new LRUCache<string, number>({ max: REMEMBERED_KEYS, ttl: EXPIRE_AGAIN_AFTER_MS })
  const known = createKnownMembers(KNOWN_FOR_MS)
  // After a lost connection, Redis may be another server, or the same server with less data.
  for (const broken of redis instanceof Cluster ? ['close', '+node', '-node', 'node error'] : ['close']) {
    redis.on(broken, () => {
      expiring.clear()
      known.clear()
    })
  }
  const addAlone = async (additions: readonly SketchAddition[]): Promise<void> => {
    const news = known.without(additions)
    await add(redis, news, expiring)
    known.learn(news)
  }
  const commands = commandsOf(redis)
  return {
    ...commands,
    add: addAlone,
    addAlone,
    replace: async (...replacement) => {
      known.clear()
      await commands.replace(...replacement)
    },
  }
}

const add = async (
  redis: Redis | Cluster,
  additions: readonly SketchAddition[],
  expiring: LRUCache<string, number>,
): Promise<void> => {
  if (additions.length === 0) return
  const pipeline = redis.pipeline()
  const added: SketchAddition[] = []
  for (const addition of additions) {
    const all = [...addition.members]
    for (let i = 0; i < all.length; i += MEMBERS_PER_COMMAND) {
      pipeline.pfadd(addition.key, ...all.slice(i, i + MEMBERS_PER_COMMAND))
      added.push(addition)
    }
  }
  const renewed = new Set(
    additions.filter(({ key, seconds, replaceable }) => replaceable === true || expiring.get(key) !== seconds),
  )
  for (const { key, seconds } of renewed) pipeline.expire(key, seconds)
  const answers = await execute(
    pipeline,
    [...added, ...renewed].map(({ key }) => key),
  )
  for (const { key, seconds } of renewed) expiring.set(key, seconds)
  const changed = added.filter((addition, i) => answers[i] === 1 && !renewed.has(addition))
  if (changed.length > 0) giveLifetimes(redis, changed, expiring)
}

/**
 * Gives changed sketches a lifetime if they have none. A sketch with a remembered lifetime may have been removed and created again;
 * PFADD returns 1 for it, as for any changed sketch. The caller does not wait, because that would cost a round trip for each new user.
 */
const giveLifetimes = (
  redis: Redis | Cluster,
  changed: readonly SketchAddition[],
  expiring: LRUCache<string, number>,
): void => {
  const pipeline = redis.pipeline()
  for (const { key, seconds } of changed) pipeline.expire(key, seconds, 'NX')
  execute(
    pipeline,
    changed.map(({ key }) => key),
  ).catch(() => {
    for (const { key } of changed) expiring.delete(key)
  })
}

/** Cannot be the key of a sketch, which begins with a hash tag. */
const PROBE_KEY = 'tallyman:write-probe'
/** Has no lifetime: if it is gone, so are counters. */
const BINDING_KEY = 'tallyman:installation'

const commandsOf = (redis: Redis | Cluster): Omit<SketchStore, 'add' | 'addAlone'> => ({
  name: 'redis',

  replace: async (key, sketch, seconds) => {
    if (sketch) await redis.set(key, Buffer.from(sketch.toBytes()), 'EX', seconds)
    else await redis.del(key)
  },

  count: async (unions) => {
    const pipeline = redis.pipeline()
    for (const keys of unions) pipeline.pfcount(...keys)
    return (await replies(pipeline)).map(([error, count], i) => {
      const keys = unions[i] ?? []
      if (error) return NO_SKETCH.test(error.message) ? new DamagedSketch(keys) : error
      return possibleCount(keys, Number(count))
    })
  },

  entries: async function* (prefix) {
    for (const node of redis instanceof Cluster ? redis.nodes('master') : [redis]) {
      const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`
      for await (const keys of node.scanStream({ match: pattern, count: KEYS_PER_SCAN }) as AsyncIterable<string[]>) {
        yield* await readAll(node, [...new Set(keys)])
      }
    }
  },

  merge: async ({ key, bytes, seconds }) => {
    if ((await redis.set(key, Buffer.from(bytes), 'EX', seconds, 'NX')) === 'OK') return
    const arriving = `${key}:${randomUUID()}`
    const pipeline = redis.pipeline().set(arriving, Buffer.from(bytes), 'EX', 60)
    await execute(pipeline.pfmerge(key, arriving).expire(key, seconds, 'GT').del(arriving), [
      arriving,
      key,
      key,
      arriving,
    ])
  },

  probeWrite: async () => {
    await redis.set(PROBE_KEY, '', 'EX', 60)
  },

  binding: {
    key: BINDING_KEY,
    read: async () => (await redis.get(BINDING_KEY)) ?? undefined,
    bind: async (uuid) => {
      await redis.set(BINDING_KEY, uuid, 'NX')
    },
  },

  memoryLimits: async () => {
    if (!(redis instanceof Cluster)) return [memoryLimitOf(await redis.info())]
    const limits = redis.nodes('master').map(async (node) => {
      const { host = '', port = '' } = node.options
      return { ...memoryLimitOf(await node.info()), server: `${host}:${port}` }
    })
    return (await Promise.allSettled(limits)).flatMap((limit) => (limit.status === 'fulfilled' ? limit.value : []))
  },

  version: async () => {
    const info = redis instanceof Cluster ? await anyMaster(redis).info('server') : await redis.info('server')
    return fieldOf(info, 'redis_version') ?? 'unknown'
  },

  close: async () => {
    // QUIT waits for running commands; an unavailable server is not retried.
    await redis.quit().catch(() => {
      redis.disconnect()
    })
  },
})

/** Redis's errors for a key of another type, a text that is no sketch, and a sketch with an invalid number of registers. */
const NO_SKETCH = /^(?:WRONGTYPE|INVALIDOBJ) /

const readAll = async (node: Redis, keys: string[]): Promise<StoredSketch[]> => {
  const pipeline = node.pipeline()
  for (const key of keys) pipeline.getBuffer(key).ttl(key)
  const answers = await execute(
    pipeline,
    keys.flatMap((key) => [key, key]),
  )
  return keys.flatMap((key, i) => {
    const [bytes, seconds] = answers.slice(2 * i, 2 * i + 2) as [Buffer | null, number]
    return bytes ? [{ key, bytes, seconds: Math.max(seconds, 1) }] : []
  })
}

/** @param info the answer to INFO; a server that is similar to Redis may lack fields, which is no reason to warn */
const memoryLimitOf = (info: string): MemoryLimit => ({
  maxBytes: Number(fieldOf(info, 'maxmemory') ?? 0),
  policy: fieldOf(info, 'maxmemory_policy') ?? 'noeviction',
  evictedKeys: Number(fieldOf(info, 'evicted_keys') ?? 0),
})

const fieldOf = (info: string, name: string): string | undefined => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]

const anyMaster = (cluster: Cluster): Redis => {
  const [node] = cluster.nodes('master')
  if (!node) throw new Error('Connection is closed: the cluster has no master that answers')
  return node
}

const replies = async (pipeline: ChainableCommander): Promise<[Error | null, unknown][]> => {
  const answers = await pipeline.exec()
  if (!answers) throw new Error('Connection is closed')
  return answers
}

/**
 * Runs a pipeline. Throws the first error of its commands.
 * @param keys the key of each command, in the order of the commands
 */
const execute = async (pipeline: ChainableCommander, keys: readonly string[]): Promise<unknown[]> =>
  (await replies(pipeline)).map(([error, answer], i) => {
    if (error) throw NO_SKETCH.test(error.message) ? new DamagedSketch(keys.slice(i, i + 1)) : error
    return answer
  })
