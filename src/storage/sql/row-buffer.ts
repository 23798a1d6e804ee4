/**
 * Rows in the binary format of COPY (PostgreSQL's manual, "COPY", "Binary Format", and the `…recv` functions of its types). Each
 * value must have the type of its column.
 */
export type RowBuffer = {
  /** Begins a row. @param columns the number of values that follow */
  start: (columns: number) => void
  null: () => void
  text: (value: string) => void
  int: (value: number) => void
  /** @param value a whole number, up to 2^53 */
  bigint: (value: number) => void
  boolean: (value: boolean) => void
  /** A timestamptz. @param micros since 1970 */
  moment: (micros: number) => void
  /** The 16 hex digits of two numbers of 32 bits, as a text. */
  hex: (high: number, low: number) => void
  /** Values that another buffer contains between two positions. */
  values: (source: RowBuffer, from: number, to: number) => void
  /** All bytes of the buffer, and some room after them. */
  memory: () => Uint8Array
  /** The number of bytes in the buffer. */
  length: () => number
  /** The bytes from a position on, until the next call of any function. */
  bytes: (from?: number) => Uint8Array
  /** Drops the bytes from a position on. */
  cutTo: (length: number) => void
}

const FIRST_ROOM = 4_096
/** The room for a value of any type but text, with its length. */
const ROOM_OF_VALUE = 32
/** A character of UTF-16 takes at most three bytes in UTF-8. */
const MOST_BYTES_OF_CHARACTER = 3
/** Moments of PostgreSQL begin in the year 2000. */
const EPOCH = Date.UTC(2000, 0, 1) * 1_000
const TWO_32 = 2 ** 32
const DIGITS = Buffer.from('0123456789abcdef')

export const createRowBuffer = (): RowBuffer => {
  let all = Buffer.allocUnsafe(FIRST_ROOM)
  let length = 0
  const reserve = (bytes: number): void => {
    if (length + bytes <= all.length) return
    const larger = Buffer.allocUnsafe(Math.max(2 * all.length, length + bytes))
    larger.set(all.subarray(0, length))
    all = larger
  }
  const word = (value: number): void => {
    all[length] = value >>> 24
    all[length + 1] = value >>> 16
    all[length + 2] = value >>> 8
    all[length + 3] = value
    length += 4
  }
  const hexWord = (value: number): void => {
    const target = all
    for (let i = 0; i < 8; i++) target[length + i] = DIGITS[(value >>> (28 - 4 * i)) & 15] ?? 0
    length += 8
  }
  const bigint = (value: number): void => {
    reserve(ROOM_OF_VALUE)
    word(8)
    const high = Math.floor(value / TWO_32)
    word(high)
    word(value - high * TWO_32)
  }
  return {
    start: (columns) => {
      reserve(ROOM_OF_VALUE)
      all[length++] = columns >>> 8
      all[length++] = columns
    },
    null: () => {
      reserve(ROOM_OF_VALUE)
      word(-1)
    },
    text: (value) => {
      reserve(4 + MOST_BYTES_OF_CHARACTER * value.length)
      const start = length
      length += 4
      const written = all.write(value, length)
      length = start
      word(written)
      length += written
    },
    int: (value) => {
      reserve(ROOM_OF_VALUE)
      word(4)
      word(value)
    },
    bigint,
    boolean: (value) => {
      reserve(ROOM_OF_VALUE)
      word(1)
      all[length++] = value ? 1 : 0
    },
    moment: (micros) => {
      bigint(micros - EPOCH)
    },
    hex: (high, low) => {
      reserve(ROOM_OF_VALUE)
      word(16)
      hexWord(high)
      hexWord(low)
    },
    values: (source, from, to) => {
      reserve(to - from)
      const bytes = source.memory()
      // Most values are short: a call of `set` would take longer.
      const [target, shift] = [all, length - from]
      for (let i = from; i < to; i++) target[i + shift] = bytes[i] ?? 0
      length += to - from
    },
    memory: () => all,
    length: () => length,
    bytes: (from = 0) => all.subarray(from, length),
    cutTo: (shorter) => {
      length = shorter
    },
  }
}
