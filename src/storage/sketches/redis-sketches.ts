import { randomUUID } from 'node:crypto'
import { Cluster, type ChainableCommander, type Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import { createKnownMembers } from './known-members.js'
import {
  DamagedSketch,
  possibleCount,
  type SketchAddition,
  type SketchStore,
  type StoredSketch,
} from './sketch-store.js'

/** Members in one PFADD: larger ones keep Redis from its other clients for too long. */
const MEMBERS_PER_COMMAND = 1_000
const KEYS_PER_SCAN = 500
/** Lifetimes are weeks, so a minute more or less does no harm, and half of all commands need not be sent. */
const EXPIRE_AGAIN_AFTER_MS = 60_000
const REMEMBERED_KEYS = 1_000
/** Who did something does mostly more in the same minute, and a registry waits for each round trip. */
const KNOWN_FOR_MS = 60_000

/**
 * Sketches in Redis: stand-alone, behind Sentinel, or a Cluster. Keys that are united must lie in one slot, so callers
 * give them one hash tag.
 */
export const createRedisSketches = (redis: Redis | Cluster): SketchStore => {
  const expiring = new LRUCache<string, number>({ max: REMEMBERED_KEYS, ttl: EXPIRE_AGAIN_AFTER_MS })
  const known = createKnownMembers(KNOWN_FOR_MS)
  // What answers after a break may be another server, or the same with less in it.
  for (const broken of redis instanceof Cluster ? ['close', '+node', '-node', 'node error'] : ['close']) {
    redis.on(broken, () => {
      expiring.clear()
      known.forget()
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
      known.forget()
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
 * A sketch that is remembered to have a lifetime may be a new one, if somebody removed it meanwhile. PFADD answers 1 for it
 * as for any sketch that changed, so these are given a lifetime if they have none. Nobody waits for that: it would cost each
 * new user a round trip.
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

/** Beside all sketches, whose keys begin with a hash tag. */
const PROBE_KEY = 'tallyman:write-probe'

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

  version: async () => {
    const info = redis instanceof Cluster ? await anyMaster(redis).info('server') : await redis.info('server')
    return /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown'
  },

  close: async () => {
    // QUIT waits for what is under way; a server that is away gets no second chance.
    await redis.quit().catch(() => {
      redis.disconnect()
    })
  },
})

/** Redis on a key of another type, on a text that is no sketch, and on a sketch whose runs do not add up. */
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
 * Runs a pipeline; the first error of any command is thrown.
 * @param keys of the commands, in their order
 */
const execute = async (pipeline: ChainableCommander, keys: readonly string[]): Promise<unknown[]> =>
  (await replies(pipeline)).map(([error, answer], i) => {
    if (error) throw NO_SKETCH.test(error.message) ? new DamagedSketch(keys.slice(i, i + 1)) : error
    return answer
  })
