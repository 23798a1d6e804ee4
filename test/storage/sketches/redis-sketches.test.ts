import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Redis } from 'ioredis'
import { connectRedis } from '../../../src/storage/sketches/redis-connection.js'
import { createRedisSketches } from '../../../src/storage/sketches/redis-sketches.js'
import { DamagedSketch } from '../../../src/storage/sketches/sketch-store.js'
import { eventually } from '../../servers/process.js'
import { startRedis, type RedisServer } from '../../servers/redis.js'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => redis.stop())

test('who was added a moment ago is not sent again, until the connection breaks or a sketch is replaced', async () => {
  const [client, other] = [connectRedis(redis.url), connectRedis(redis.url) as Redis]
  const sketches = createRedisSketches(client)
  const sent = async (): Promise<number> =>
    Number(/cmdstat_pfadd:calls=(\d+)/.exec(await other.info('commandstats'))?.[1] ?? 0)
  const add = async (...members: string[]): Promise<void> =>
    sketches.addAlone([{ key: '{t}a', members: new Set(members), seconds: 100 }])
  try {
    await add('alice')
    await add('alice')
    expect(await sent()).toBe(1)
    await add('alice', 'bob')
    expect(await sent()).toBe(2)
    expect(await sketches.count([['{t}a']])).toEqual([2])

    // The server behind the address may be another one now.
    await other.flushall()
    await other.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await eventually('the members are sent to it', async () => {
      await add('alice', 'bob')
      return (await sketches.count([['{t}a']]))[0] === 2
    })
    await sketches.replace('{t}a', undefined, 100, undefined as never)
    await add('alice')
    expect(await sketches.count([['{t}a']])).toEqual([1])
  } finally {
    await sketches.close()
    other.disconnect()
  }
})

test('a key of another type is named, whatever it is used for', async () => {
  const [client, other] = [connectRedis(redis.url), connectRedis(redis.url) as Redis]
  const sketches = createRedisSketches(client)
  const addition = { members: new Set(['alice']), seconds: 100 }
  try {
    await other.lpush('{u}list', 'x')
    const adding = sketches.addAlone(['{u}a', '{u}list'].map((key) => ({ key, ...addition })))
    await expect(adding).rejects.toThrow(new DamagedSketch(['{u}list']))
    const reading = async (): Promise<void> => {
      for await (const { key } of sketches.entries('{u}')) expect(key).toBe('{u}a')
    }
    await expect(reading()).rejects.toThrow(new DamagedSketch(['{u}list']))
  } finally {
    await sketches.close()
    other.disconnect()
  }
})
