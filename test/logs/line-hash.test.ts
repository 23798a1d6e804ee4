import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createLineHash, createSealIds } from '../../src/logs/line-hash.js'
import { runs } from '../servers/runs.js'

const hashOf = (key: string, line: string): [high: number, low: number] => {
  const { hash, high, low } = createLineHash(key)
  const bytes = Buffer.from(`before${line}after`)
  hash(bytes, 'before'.length, bytes.length - 'after'.length)
  return [high(), low()]
}

const chainOf = (key: string, lines: readonly string[]): string => {
  const { hash, chain } = createLineHash(key)
  for (const line of lines) hash(Buffer.from(line), 0, Buffer.byteLength(line))
  return chain().toString('hex')
}

describe('hashes of lines', () => {
  test('different lines, also of different lengths, have different hashes, and equal lines equal ones', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 50 }), (lines) => {
        const hashes = lines.map((line) => hashOf('key', line).join())
        expect(new Set(hashes).size).toBe(lines.length)
        expect(lines.map((line) => hashOf('key', line).join())).toEqual(hashes)
      }),
      runs(300),
    )
    expect(hashOf('key', 'line')).not.toEqual(hashOf('another key', 'line'))
    expect(hashOf('key', '')).not.toEqual(hashOf('key', '\0'))
  })

  test('the hash of all lines depends on their order, their borders and the key', () => {
    const chains = [['a', 'b'], ['b', 'a'], ['ab'], ['a', 'b', ''], ['a']].map((lines) => chainOf('key', lines))
    expect(new Set(chains).size).toBe(chains.length)
    expect(chainOf('another key', ['a', 'b'])).not.toBe(chains[0])
    expect(chainOf('key', ['a', 'b'])).toBe(chains[0])
  })

  test('sealed hashes are different for different hashes, equal for equal ones wherever they stand, and differ by key', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 50 }), (hashes) => {
        const seal = createSealIds('key')
        const sealed = [...seal(Uint32Array.from(hashes.flat()))]
        const pairs = hashes.map((_hash, i) => sealed.slice(2 * i, 2 * i + 2).join())
        expect(pairs).toEqual(hashes.map((hash) => seal(Uint32Array.from(hash)).join()))
        expect(new Set(pairs).size).toBe(new Set(hashes.map((hash) => hash.join())).size)
      }),
      runs(300),
    )
    const hashes = Uint32Array.of(1, 2)
    expect(createSealIds('key')(hashes)).not.toEqual(createSealIds('another key')(hashes))
    expect(hashes).toEqual(Uint32Array.of(1, 2))
  })
})
