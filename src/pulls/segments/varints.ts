/** Writes whole numbers up to 2^53 with seven bits in each byte, the lowest first (LEB128). */
export type VarintWriter = {
  add: (number: number) => void
  bytes: () => Uint8Array
}

const FIRST_ROOM = 4_096
/** 2^53 has eight bytes of seven bits. */
const MOST_BYTES = 8

export const createVarintWriter = (): VarintWriter => {
  let all = new Uint8Array(FIRST_ROOM)
  let length = 0
  return {
    add: (number) => {
      if (length + MOST_BYTES > all.length) {
        const larger = new Uint8Array(2 * all.length)
        larger.set(all)
        all = larger
      }
      let rest = number
      while (rest > 0x7f) {
        all[length++] = (rest & 0x7f) | 0x80
        rest = rest > 0x7fff_ffff ? Math.floor(rest / 128) : rest >>> 7
      }
      all[length++] = rest
    },
    bytes: () => all.subarray(0, length),
  }
}

/** Reads the numbers that a `VarintWriter` wrote, one after the other. @throws RangeError beyond the end */
export const createVarintReader = (bytes: Uint8Array): (() => number) => {
  let next = 0
  return () => {
    const first = bytes[next]
    if (first !== undefined && first < 0x80) {
      next++
      return first
    }
    let number = 0
    let factor = 1
    for (;;) {
      const byte = bytes[next++]
      if (byte === undefined) throw new RangeError('the column ends too early')
      number += (byte & 0x7f) * factor
      if (byte < 0x80) return number
      factor *= 128
    }
  }
}

/** Makes negative numbers small positive ones: 0, -1, 1, -2, … become 0, 1, 2, 3, … */
export const zigzag = (number: number): number => (number < 0 ? -2 * number - 1 : 2 * number)
export const unzigzag = (number: number): number => (number % 2 === 1 ? -(number + 1) / 2 : number / 2)
