import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { SketchFormatError } from '../../../src/storage/sketches/hyperloglog/format.js'
import { countUnion, HyperLogLog } from '../../../src/storage/sketches/hyperloglog/hyperloglog.js'
import { locate } from '../../../src/storage/sketches/hyperloglog/murmur.js'
import { Union } from '../../../src/storage/sketches/hyperloglog/union.js'
import { runs } from '../../servers/runs.js'

const sketchOf = (members: readonly string[]): HyperLogLog => {
  const sketch = new HyperLogLog()
  for (const member of members) sketch.add(member)
  return sketch
}
/** From no members to more than a sparse sketch can contain; some members are in several sketches. */
const members = fc
  .record({ first: fc.nat(5_000), count: fc.oneof(fc.nat(5), fc.nat(600), fc.nat(3_000)) })
  .map(({ first, count }) => Array.from({ length: count }, (_, i) => `member-${first + i}`))
const groups = fc.array(members, { maxLength: 5 })

describe('a union of sketches', () => {
  test('has the registers and the count of one sketch of all members, in any order', () => {
    fc.assert(
      fc.property(groups, members, (sketches, alone) => {
        const expected = sketchOf([...sketches.flat(), ...alone])
        const [union, backwards] = [new Union(), new Union()]
        for (const one of sketches) union.take(sketchOf(one).toBytes())
        for (const member of alone) union.add(member)
        for (const member of [...alone].reverse()) backwards.add(member)
        for (const one of [...sketches].reverse()) {
          const other = new Union()
          other.take(sketchOf(one).toBytes())
          backwards.merge(other)
        }
        expect(union.count()).toBe(expected.count())
        const bytes = union.toBytes()
        const read = new HyperLogLog(bytes)
        expect(Buffer.from(read.registers()).equals(Buffer.from(expected.registers()))).toBe(true)
        expect(read.count()).toBe(expected.count())
        expect(Buffer.from(backwards.toBytes()).equals(Buffer.from(bytes))).toBe(true)
      }),
      runs(25),
    )
  })

  test('of few members has the bytes that Redis makes of them', () => {
    const inFirst = Array.from({ length: 100_000 }, (_, i) => `member-${i}`).find((one) => (locate(one) & 0x3fff) === 0)
    const groupsOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `member-${i}`)
    for (const group of [[inFirst ?? ''], ...Array.from({ length: 50 }, (_, count) => groupsOf(count))]) {
      const sketch = sketchOf(group)
      sketch.count()
      const union = new Union()
      union.take(sketch.toBytes())
      expect(Buffer.from(union.toBytes()).equals(Buffer.from(sketch.toBytes()))).toBe(true)
    }
  })

  test('without sketches is empty', () => {
    expect(new Union().count()).toBe(0)
    expect(countUnion([new HyperLogLog(new Union().toBytes())])).toBe(0)
  })

  test.each([
    ['nothing', []],
    ['other bytes', [1, 2, 3]],
    ['another encoding', [0x48, 0x59, 0x4c, 0x4c, 2, ...Array<number>(20).fill(0)]],
    ['a dense sketch that is too short', [0x48, 0x59, 0x4c, 0x4c, 0, ...Array<number>(20).fill(0)]],
    ['runs that end early', [0x48, 0x59, 0x4c, 0x4c, 1, ...Array<number>(11).fill(0), 0x3f]],
    ['half a run', [0x48, 0x59, 0x4c, 0x4c, 1, ...Array<number>(11).fill(0), 0x7f]],
    ['more runs than registers', [0x48, 0x59, 0x4c, 0x4c, 1, ...Array<number>(11).fill(0), 0x7f, 0xff, 0x00]],
    ['a run beyond the last register', [0x48, 0x59, 0x4c, 0x4c, 1, ...Array<number>(11).fill(0), 0x7f, 0xfe, 0x83]],
  ])('refuses %s', (_, bytes) => {
    expect(() => {
      new Union().take(new Uint8Array(bytes))
    }).toThrow(SketchFormatError)
  })
})
