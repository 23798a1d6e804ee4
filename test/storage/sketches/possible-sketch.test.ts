import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  DENSE_BYTES,
  HEADER_BYTES,
  REGISTERS,
  SketchFormatError,
} from '../../../src/storage/sketches/hyperloglog/format.js'
import { countUnion, HyperLogLog } from '../../../src/storage/sketches/hyperloglog/hyperloglog.js'
import { possibleSketch } from '../../../src/storage/sketches/hyperloglog/possible-sketch.js'
import { Union } from '../../../src/storage/sketches/hyperloglog/union.js'
import { denseOf } from '../../servers/sketches.js'
import { runs } from '../../servers/runs.js'

const stale = (bytes: Uint8Array): Uint8Array => bytes.with(15, 0x80)

test('no registers give a count that is no whole number', () => {
  const ranks = fc.oneof(fc.constant(0), fc.constant(51), fc.constant(63), fc.integer({ min: 0, max: 63 }))
  fc.assert(
    fc.property(ranks, ranks, fc.integer({ min: 0, max: REGISTERS }), (a, b, boundary) => {
      const bytes = denseOf((register) => (register < boundary ? a : b))
      const sketch = new HyperLogLog(stale(bytes))
      const union = new Union()
      union.take(bytes)
      for (const count of [sketch.count(), countUnion([sketch]), union.count()]) {
        expect(Number.isSafeInteger(count)).toBe(true)
        expect(count).toBeGreaterThanOrEqual(0)
      }
      expect(() => union.toBytes()).not.toThrow()
    }),
    runs(200),
  )
})

describe('a sketch of another installation', () => {
  test.each<[string, Uint8Array, string]>([
    [
      'a rank above 51',
      denseOf((register) => (register === 7 ? 52 : 1)),
      'a register has the rank 52, and no hash has one above 51',
    ],
    ['all registers 63', denseOf(() => 63), 'a register has the rank 63'],
    ['the highest rank in all registers', denseOf(() => 51), 'its registers give more members than can be counted'],
    ['more members than 2^53', denseOf(() => 50), 'its registers give more members than can be counted'],
    ['another length', new Uint8Array(DENSE_BYTES - 1), 'a sketch begins with "HYLL"'],
  ])('with %s is refused', (_, bytes, message) => {
    expect(() => possibleSketch(bytes)).toThrow(SketchFormatError)
    expect(() => possibleSketch(bytes)).toThrow(message)
  })

  test('that members made is taken byte for byte, sparse or dense, with the highest rank too', () => {
    for (const members of [0, 10, 5_000]) {
      const sketch = new HyperLogLog()
      for (let i = 0; i < members; i++) sketch.add(`user-${i}`)
      sketch.count()
      expect(possibleSketch(sketch.toBytes())).toEqual(sketch.toBytes())
    }
    const one = stale(denseOf((register) => (register === 0 ? 51 : 0)))
    expect(possibleSketch(one)).toEqual(one)
  })

  test.each([0n, 7n, 2n ** 63n - 1n])('with a forged count of %s is counted again', (forged) => {
    const sketch = new HyperLogLog()
    for (let i = 0; i < 100; i++) sketch.add(`user-${i}`)
    const bytes = sketch.toBytes()
    new DataView(bytes.buffer).setBigUint64(8, forged, true)
    expect(new HyperLogLog(possibleSketch(bytes)).count()).toBe(countUnion([sketch]))
    expect(possibleSketch(bytes).slice(HEADER_BYTES)).toEqual(bytes.slice(HEADER_BYTES))
  })
})
