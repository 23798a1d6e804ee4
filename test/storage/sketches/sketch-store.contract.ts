import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { HyperLogLog } from '../../../src/storage/sketches/hyperloglog/hyperloglog.js'
import { DamagedSketch, type StoredSketch } from '../../../src/storage/sketches/sketch-store.js'
import { denseOf } from '../../servers/sketches.js'
import type { TestStores } from '../../servers/stores.js'

const members = (count: number, from = 0): Set<string> =>
  new Set(Array.from({ length: count }, (_, i) => `user-${from + i}`))

/** What a sketch of all these members counts; every store must agree to the unit. */
const estimated = (...sets: Set<string>[]): number => {
  const sketch = new HyperLogLog()
  for (const set of sets) for (const member of set) sketch.add(member)
  return sketch.count()
}

/** What every sketch store promises. */
export const sketchStoreContract = (name: string, open: () => Promise<TestStores>): void => {
  describe(`a sketch store: ${name}`, () => {
    let stores: TestStores
    beforeAll(async () => {
      stores = await open()
    })
    afterAll(async () => stores.close())
    beforeEach(async () => stores.clear())

    const add = async (key: string, added: Set<string>, seconds = 1_000): Promise<void> =>
      stores.database.transaction(async (tx) => stores.sketches.add([{ key, members: added, seconds }], tx))
    const entries = async (prefix: string): Promise<StoredSketch[]> => {
      const found = []
      for await (const entry of stores.sketches.entries(prefix)) found.push(entry)
      return found.sort((a, b) => (a.key < b.key ? -1 : 1))
    }

    test('belongs to the first installation that binds it, and keeps that apart from sketches', async () => {
      const { binding } = stores.sketches
      expect(binding === undefined).toBe(stores.sketches.name === 'sql')
      if (!binding) return
      expect(await binding.read()).toBeUndefined()
      await binding.bind('first')
      await binding.bind('second')
      expect(await binding.read()).toBe('first')
      await add('{t}a', members(1))
      expect((await entries('{t}')).map(({ key }) => key)).toEqual(['{t}a'])
    })

    test('counts the members of a key, each once', async () => {
      await add('{t}a', members(100))
      await add('{t}a', members(100))
      await add('{t}a', members(50, 80))
      expect(await stores.sketches.count([['{t}a']])).toEqual([estimated(members(130))])
    })

    test('counts unions, and nothing where nothing is', async () => {
      await add('{t}a', members(60))
      await add('{t}b', members(60, 30))
      const counts = await stores.sketches.count([['{t}a', '{t}b'], ['{t}a', '{t}none'], ['{t}none'], ['{t}b']])
      expect(counts).toEqual([estimated(members(90)), estimated(members(60)), 0, estimated(members(60, 30))])
    })

    test('takes 5,000 members for one key and many keys at once', async () => {
      const additions = Array.from({ length: 40 }, (_, i) => ({
        key: `{t}${i}`,
        members: members(i + 1),
        seconds: 100,
      }))
      const all = [{ key: '{t}large', members: members(5_000), seconds: 100 }, ...additions]
      await stores.database.transaction(async (tx) => stores.sketches.add(all, tx))
      expect(await stores.sketches.count([['{t}large'], ['{t}39']])).toEqual([
        estimated(members(5_000)),
        estimated(members(40)),
      ])
    })

    test('stores the bytes that PFADD would have made', async () => {
      await add('{t}a', members(400))
      const expected = new HyperLogLog()
      for (const member of members(400)) expected.add(member)
      const [stored] = await entries('{t}a')
      expect(Buffer.from(stored?.bytes ?? []).equals(expected.toBytes())).toBe(true)
    })

    test('keeps a sketch for its seconds, counted from the last write', async () => {
      await add('{t}a', members(1), 50)
      await add('{t}a', members(2), 1_000)
      const [stored] = await entries('{t}a')
      expect(stored?.seconds).toBeGreaterThan(500)
      expect(stored?.seconds).toBeLessThanOrEqual(1_000)
    })

    test('keeps a sketch for its seconds also when it was removed and comes again', async () => {
      await add('{t}a', members(3))
      await stores.database.transaction(async (tx) => stores.sketches.replace('{t}a', undefined, 100, tx))
      await add('{t}a', members(1, 3))
      expect((await entries('{t}a'))[0]?.seconds).toBeGreaterThan(500)
    })

    test('forgets a sketch after its time', async () => {
      await add('{t}a', members(3), 1)
      await new Promise((resolve) => setTimeout(resolve, 1_300))
      expect(await stores.sketches.count([['{t}a']])).toEqual([0])
      expect(await entries('{t}')).toEqual([])
    })

    test('lists the sketches below a prefix, whatever characters it has', async () => {
      await add('{t*}_a-2026-47', members(1))
      await add('{t*}_b-2026-M11', members(2))
      await add('{txx}_c', members(3))
      expect((await entries('{t*}_')).map(({ key }) => key)).toEqual(['{t*}_a-2026-47', '{t*}_b-2026-M11'])
    })

    test('lists more sketches than fit one page', async () => {
      const additions = Array.from({ length: 1_200 }, (_, i) => ({
        key: `{t}p${i}`,
        members: members(1),
        seconds: 100,
      }))
      await stores.database.transaction(async (tx) => stores.sketches.add(additions, tx))
      expect(await entries('{t}p')).toHaveLength(1_200)
    })

    test('replaces a sketch, or removes it', async () => {
      await add('{t}a', members(100))
      const other = new HyperLogLog()
      for (const member of members(7)) other.add(member)
      await stores.database.transaction(async (tx) => stores.sketches.replace('{t}a', other, 100, tx))
      expect(await stores.sketches.count([['{t}a']])).toEqual([7])
      await add('{t}a', members(9))
      expect(await stores.sketches.count([['{t}a']])).toEqual([9])
      await stores.database.transaction(async (tx) => stores.sketches.replace('{t}a', undefined, 100, tx))
      expect(await entries('{t}a')).toEqual([])
    })

    test('a member that a replacement removed can be added again', async () => {
      const addReplaceable = async (): Promise<void> =>
        stores.database.transaction(async (tx) =>
          stores.sketches.add([{ key: '{t}a', members: members(5), seconds: 100, replaceable: true }], tx),
        )
      await addReplaceable()
      await stores.database.transaction(async (tx) => stores.sketches.replace('{t}a', undefined, 100, tx))
      await addReplaceable()
      expect(await stores.sketches.count([['{t}a']])).toEqual([5])
    })

    test('merges a sketch into what is there, and takes it byte for byte where nothing is', async () => {
      const arriving = new HyperLogLog()
      for (const member of members(50, 25)) arriving.add(member)
      const sketch = { key: '{t}a', bytes: arriving.toBytes(), seconds: 500 }
      await stores.sketches.merge(sketch)
      expect(Buffer.from((await entries('{t}a'))[0]?.bytes ?? []).equals(sketch.bytes)).toBe(true)
      await stores.sketches.merge(sketch)
      await add('{t}b', members(50))
      await stores.sketches.merge({ ...sketch, key: '{t}b' })
      expect(await stores.sketches.count([['{t}a'], ['{t}b']])).toEqual([
        estimated(members(50, 25)),
        estimated(members(75)),
      ])
      expect((await entries('{t}')).map(({ key }) => key)).toEqual(['{t}a', '{t}b'])
    })

    test('one key that is no sketch harms only the unions it is part of', async () => {
      await add('{t}a', members(5))
      await stores.spoil('{t}bad')
      const [good, bad, mixed] = await stores.sketches.count([['{t}a'], ['{t}bad'], ['{t}a', '{t}bad']])
      expect(good).toBe(5)
      expect(bad).toBeInstanceOf(DamagedSketch)
      expect(mixed).toBeInstanceOf(DamagedSketch)
      expect(String(bad)).toMatch(/what is stored under \{t\}bad is no sketch that can be counted; restore/)
    })

    test('a sketch that no members can have made is counted by no union', async () => {
      await add('{t}a', members(5))
      await stores.sketches.merge({ key: '{t}full', bytes: denseOf(() => 63).with(15, 0x80), seconds: 1_000 })
      await stores.sketches.merge({ key: '{t}highest', bytes: denseOf(() => 51).with(15, 0x80), seconds: 1_000 })
      const [good, ...others] = await stores.sketches.count([
        ['{t}a'],
        ['{t}full'],
        ['{t}highest'],
        ['{t}a', '{t}highest'],
      ])
      expect(good).toBe(5)
      for (const other of others.slice(1)) expect(other).toBeInstanceOf(DamagedSketch)
      expect(others[0] instanceof DamagedSketch || Number.isSafeInteger(others[0])).toBe(true)
    })

    test('adds from several writers at once without losing a member', async () => {
      await Promise.all(Array.from({ length: 8 }, async (_, i) => add('{t}a', members(40, i * 40))))
      expect(await stores.sketches.count([['{t}a']])).toEqual([estimated(members(320))])
    })

    test('returns its version', async () => {
      expect(await stores.sketches.version()).toMatch(/^\d+\.\d+/)
    })
  })
}
