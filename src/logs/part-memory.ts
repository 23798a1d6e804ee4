/** Remembers a value for each combination of parts of lines. */
export type PartMemory<Value> = {
  /** @param positions begin and end of each part, one after the other; the number of parts is always the same */
  get: (bytes: Uint8Array, positions: readonly number[]) => Value | undefined
  /** Sets the value of the parts with which `get` was called last. */
  set: (value: Value) => void
}

const SLOTS = 1 << 18
/** The memory begins anew if it has this many values, or bytes. */
const MOST_VALUES = SLOTS / 2
const MOST_BYTES = 16 * 1024 * 1024
const EMPTY = -1
/** Lines that were made to have one place in the table are not remembered. */
const MOST_PROBES = 64
/** Between two parts, which themselves contain no such byte. */
const SEPARATOR = 0x0a

/**
 * A hash table whose keys are bytes of lines, so that no text is made of parts that are known.
 * @param seed a number that outsiders do not know; otherwise they could make many lines with the same hash
 */
export const createPartMemory = <Value>(seed: number): PartMemory<Value> => {
  const slots = new Int32Array(SLOTS).fill(EMPTY)
  let values: Value[] = []
  const hashes = new Int32Array(MOST_VALUES)
  const starts = new Int32Array(MOST_VALUES + 1)
  let keys = new Uint8Array(1024 * 1024)
  let length = 0
  /** The key of the last `get`: behind all other keys. */
  let last = { slot: 0, hash: 0, end: 0, isFull: false }

  const clear = (): void => {
    slots.fill(EMPTY)
    values = []
    length = 0
  }
  const grow = (needed: number): void => {
    if (needed <= keys.length) return
    const larger = new Uint8Array(2 * needed)
    larger.set(keys.subarray(0, length))
    keys = larger
  }
  const isKey = (entry: number, end: number): boolean => {
    const from = starts[entry] ?? 0
    if ((starts[entry + 1] ?? 0) - from !== end - length) return false
    for (let i = length, j = from; i < end; i++, j++) if (keys[i] !== keys[j]) return false
    return true
  }
  return {
    get: (bytes, positions) => {
      let size = 0
      for (let i = 0; i < positions.length; i += 2) size += positions[i + 1]! - positions[i]! + 1
      grow(length + size)
      let hash = seed
      let end = length
      for (let i = 0; i < positions.length; i += 2) {
        const stop = positions[i + 1]!
        for (let at = positions[i]!; at < stop; at++) {
          const byte = bytes[at]!
          hash = Math.imul(hash ^ byte, 0x01000193)
          keys[end++] = byte
        }
        hash = Math.imul(hash ^ SEPARATOR, 0x01000193)
        keys[end++] = SEPARATOR
      }
      hash ^= hash >>> 15
      let slot = hash & (SLOTS - 1)
      let probes = 0
      for (let entry = slots[slot]!; entry !== EMPTY && probes < MOST_PROBES; entry = slots[slot]!) {
        if (hashes[entry] === hash && isKey(entry, end)) return values[entry]
        slot = (slot + 1) & (SLOTS - 1)
        probes++
      }
      last = { slot, hash, end, isFull: probes === MOST_PROBES }
      return undefined
    },
    set: (value) => {
      if (last.isFull) return
      if (values.length >= MOST_VALUES || last.end > MOST_BYTES) {
        clear()
        return
      }
      const entry = values.length
      slots[last.slot] = entry
      hashes[entry] = last.hash
      starts[entry] = length
      length = last.end
      starts[entry + 1] = length
      values.push(value)
    },
  }
}
