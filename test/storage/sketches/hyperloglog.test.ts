import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { SketchFormatError } from '../../../src/storage/sketches/hyperloglog/format.js'
import { countUnion, HyperLogLog } from '../../../src/storage/sketches/hyperloglog/hyperloglog.js'
import { locate } from '../../../src/storage/sketches/hyperloglog/murmur.js'
import { startRedis, type RedisServer } from '../../servers/redis.js'
import { runs, SEED } from '../../servers/runs.js'

let server: RedisServer
let redis: Redis
let comparisons = 0

beforeAll(async () => {
  server = await startRedis(['--appendonly', 'no'])
  redis = new Redis(server.url)
})

afterAll(async () => {
  redis.disconnect()
  await server.stop()
})

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16)

/** A member to add, or a PFCOUNT, which changes the header of a sketch. */
type Step = Uint8Array | string

/** Plays the steps on both and compares the answer and the stored bytes after every one. */
const playOnBoth = async (steps: Step[]): Promise<void> => {
  const key = 'sketch'
  const pipeline = redis.pipeline().del(key)
  for (const step of steps) {
    if (step === 'PFCOUNT') pipeline.pfcount(key)
    else pipeline.pfadd(key, typeof step === 'string' ? step : Buffer.from(step))
    pipeline.getBuffer(key)
  }
  const replies = ((await pipeline.exec()) ?? []).slice(1).map(([error, value]) => {
    if (error) throw error
    return value
  })
  const ours = new HyperLogLog()
  steps.forEach((step, i) => {
    const answer = step === 'PFCOUNT' ? ours.count() : Number(ours.add(step))
    const stored = replies[2 * i + 1] as Buffer | null
    expect(answer).toBe(replies[2 * i])
    expect(stored?.equals(ours.toBytes())).toBe(true)
    comparisons += 2
  })
}

const binaryMember = fc.uint8Array({ minLength: 0, maxLength: 40 })
const steps = (member: fc.Arbitrary<Uint8Array | string>, minLength: number, maxLength: number): fc.Arbitrary<Step[]> =>
  fc
    .array(fc.oneof({ weight: 20, arbitrary: member }, { weight: 1, arbitrary: fc.constant('PFCOUNT' as const) }), {
      minLength,
      maxLength,
      size: 'max',
    })
    .map((played) => ['first', ...played])

describe('a sketch is byte for byte what Redis stores', () => {
  test('golden vectors of Redis 7.0.15', () => {
    const golden = [
      { members: 10, bytes: 48, hash: 'd244108ded69414c', count: 10 },
      { members: 1_000, bytes: 1_902, hash: 'c64bcd3c046e11b4', count: 1_004 },
      { members: 100_000, bytes: 12_304, hash: '700528c5166a9681', count: 100_165 },
    ]
    for (const { members, bytes, hash, count } of golden) {
      const sketch = new HyperLogLog()
      for (let i = 1; i <= members; i++) sketch.add(`user-${i}`)
      expect([sketch.toBytes().length, sha(sketch.toBytes()), sketch.count()]).toEqual([bytes, hash, count])
    }
  })

  test('any members of any bytes, compared after every PFADD and PFCOUNT', async () => {
    await fc.assert(fc.asyncProperty(steps(binaryMember, 50, 150), playOnBoth), runs(120))
  })

  test('strings beyond ASCII, long and empty ones', async () => {
    const member = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.string({ minLength: 250, maxLength: 300 }),
    )
    await fc.assert(fc.asyncProperty(steps(member, 20, 60), playOnBoth), runs(40))
  })

  test('members crowded into 600 neighbouring registers, where runs split and join', async () => {
    const crowded: string[] = []
    for (let i = 0; crowded.length < 4_000; i++) if ((locate(`c${i}`) & 0x3fff) < 600) crowded.push(`c${i}`)
    await fc.assert(fc.asyncProperty(steps(fc.constantFrom(...crowded), 300, 900), playOnBoth), runs(12))
  })

  test('through the promotion from sparse to dense', async () => {
    const grow = fc.integer({ min: 0, max: 1e9 })
    await fc.assert(
      fc.asyncProperty(grow, async (salt) => {
        await playOnBoth(Array.from({ length: 2_500 }, (_, i) => (i % 50 === 49 ? 'PFCOUNT' : `user-${salt}-${i}`)))
      }),
      runs(4),
    )
  })

  test('unions and merges of up to 12 sketches, sparse and dense', async () => {
    const sizes = fc.array(fc.constantFrom(0, 1, 7, 90, 700, 3_000), { minLength: 1, maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 0, max: 500 }), async (lengths, overlap) => {
        await redis.flushall()
        const sketches = lengths.map((length, n) => {
          const sketch = new HyperLogLog()
          for (let i = 0; i < length; i++) sketch.add(`u-${n * overlap + i}`)
          return sketch
        })
        const keys = sketches.map((_, n) => `{t}${n}`)
        for (const [n, sketch] of sketches.entries()) await redis.set(`{t}${n}`, Buffer.from(sketch.toBytes()))
        expect(countUnion(sketches)).toBe(await redis.pfcount(...keys))

        await redis.pfmerge('{t}all', ...keys)
        const merged = new HyperLogLog()
        merged.merge(...sketches)
        expect((await redis.getBuffer('{t}all'))?.equals(merged.toBytes())).toBe(true)
        comparisons += 2
      }),
      runs(150),
    )
  })

  test('Redis takes our bytes and goes on with them as if they were its own', async () => {
    const sketch = new HyperLogLog()
    for (let i = 0; i < 800; i++) sketch.add(`before-${i}`)
    await redis.set('moved', Buffer.from(sketch.toBytes()))
    for (let i = 0; i < 2_000; i++) {
      expect(await redis.pfadd('moved', `after-${i}`)).toBe(Number(sketch.add(`after-${i}`)))
      comparisons++
    }
    expect((await redis.getBuffer('moved'))?.equals(sketch.toBytes())).toBe(true)
    expect(new HyperLogLog(sketch.toBytes()).count()).toBe(await redis.pfcount('moved'))
  })

  test('all of that were at least 50,000 comparisons', () => {
    console.log(`compared with Redis: ${comparisons} answers and stored values, seed ${SEED}`)
    expect(comparisons).toBeGreaterThanOrEqual(50_000)
  })
})

describe('bytes that are no sketch are refused', () => {
  const dense = new HyperLogLog()
  for (let i = 0; i < 5_000; i++) dense.add(`d${i}`)

  test.each([
    ['another magic', Buffer.from('NOPE000000000000xx')],
    ['too short for a header', Buffer.from('HYLL')],
    ['an unknown encoding', Buffer.from([...Buffer.from('HYLL'), 2, ...new Array<number>(13).fill(0)])],
    ['runs that cover too few registers', new HyperLogLog().toBytes().slice(0, 17)],
    ['runs that cover too many', Buffer.concat([new HyperLogLog().toBytes(), Buffer.from([0])])],
    ['a dense sketch cut short', dense.toBytes().slice(0, 12_000)],
  ])('%s', (_, bytes) => {
    expect(() => new HyperLogLog(bytes)).toThrow(SketchFormatError)
  })
})
