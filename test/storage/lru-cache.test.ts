import { expect, test } from '@jest/globals'
import { createLruCache } from '../../src/storage/lru-cache.js'

test('a cache has as many entries as it may, those that were used last', () => {
  const cache = createLruCache<string>(3)
  for (const key of ['a', 'b', 'c']) cache.set(key, key)
  cache.get('a')
  cache.set('b', 'again')
  cache.set('d', 'd')
  expect([...cache.entries()]).toEqual([
    ['d', 'd'],
    ['b', 'again'],
    ['a', 'a'],
  ])
  cache.clear()
  cache.set('e', 'e')
  expect([...cache.keys()]).toEqual(['e'])
})

test('a cache that may become large takes no memory before it does', () => {
  const before = process.memoryUsage().arrayBuffers
  const caches = Array.from({ length: 100 }, () => createLruCache<string>(1_000_000))
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
  expect(caches.every(({ size }) => size === 0)).toBe(true)
})
