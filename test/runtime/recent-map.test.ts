import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createRecentMap } from '../../src/runtime/recent-map.js'
import { runs } from '../servers/runs.js'

test('an entry stays while fewer than half of the slots were used after it', () => {
  const recent = createRecentMap<string>(6)
  for (const key of ['a', 'b', 'c']) recent.set(key, key)
  expect(recent.get('a')).toBe('a')
  recent.set('b', 'again')
  for (const key of ['d', 'e']) recent.set(key, key)
  expect(recent.get('b')).toBe('again')
  recent.clear()
  expect(recent.get('b')).toBeUndefined()
})

test('a value that is set again has its weight once', () => {
  const recent = createRecentMap<string>(20, (value) => value.length)
  for (const key of ['a', 'b', 'c']) recent.set(key, 'heavy')
  for (let i = 0; i < 100; i++) recent.set('c', 'heavy')
  recent.set('d', 'heavy')
  expect(recent.get('a')).toBe('heavy')
})

test('values have a weight, all of which is bounded', () => {
  const recent = createRecentMap<string>(20, (value) => value.length)
  for (const key of ['a', 'b', 'c', 'd']) recent.set(key, 'heavy')
  expect(['a', 'b', 'c', 'd'].filter((one) => recent.get(one) !== undefined).length).toBeLessThanOrEqual(4)
  for (let i = 0; i < 100; i++) recent.set('d', 'heavy')
  expect(recent.get('c')).toBe('heavy')
  for (const key of ['e', 'f', 'g', 'h']) recent.set(key, 'heavy')
  expect(recent.get('a') ?? recent.get('b') ?? recent.get('c') ?? recent.get('d')).toBeUndefined()
})

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i')
const use = fc.oneof(fc.record({ get: key }), fc.record({ set: key }))

test('it answers what was set last or nothing, has at most its number of entries, and the ones used last', () => {
  const most = 6
  fc.assert(
    fc.property(fc.array(use, { maxLength: 60 }), (uses) => {
      const recent = createRecentMap<number>(most)
      const last = new Map<string, number>()
      // The keys that are there in the order of their use, the one used last at the end.
      let order: string[] = []
      for (const [i, one] of uses.entries()) {
        const name = 'set' in one ? one.set : one.get
        if ('set' in one) {
          recent.set(name, i)
          last.set(name, i)
        } else {
          const found = recent.get(name)
          if (order.slice(-most / 2).includes(name)) expect(found).toBe(last.get(name))
          else expect([undefined, last.get(name)]).toContain(found)
          if (found === undefined) continue
        }
        order = [...order.filter((other) => other !== name), name]
      }
      expect([...last.keys()].filter((name) => recent.get(name) !== undefined).length).toBeLessThanOrEqual(most)
    }),
    runs(1_000),
  )
})
