/**
 * MurmurHash64A (Austin Appleby, public domain) with Redis's seed, on two 32-bit halves: BigInt would be 30 times slower.
 * Half products use 16-bit limbs, so every intermediate stays exact.
 */
const SEED = 0xadc83b19
const M_LOW = 0x5bd1e995
const M_HIGH = 0xc6a4a793
const M_LOW_0 = 0xe995
const M_LOW_1 = 0x5bd1

const encoder = new TextEncoder()

/**
 * The register and the rank of a member in a sketch of 2^14 registers, packed as `register | rank << 14`.
 * The register is the low 14 bits of the hash; the rank (1 to 51) is one more than the zeros that follow them.
 * A string is hashed as its UTF-8 bytes, as Redis clients send it.
 */
export const locate = (member: string | Uint8Array): number => {
  if (typeof member !== 'string') return locateBytes(member)
  const located = locateAscii(member)
  return located === NOT_ASCII ? locateBytes(encoder.encode(member)) : located
}

const NOT_ASCII = -1

/** Like `locateBytes`, but does not encode the text as bytes: encoding would take longer than hashing. */
const locateAscii = (text: string): number => {
  let bits = 0
  start(text.length)
  const blocksEnd = text.length & ~7
  for (let i = 0; i < blocksEnd; i += 8) {
    const a = text.charCodeAt(i)
    const b = text.charCodeAt(i + 1)
    const c = text.charCodeAt(i + 2)
    const d = text.charCodeAt(i + 3)
    const e = text.charCodeAt(i + 4)
    const f = text.charCodeAt(i + 5)
    const g = text.charCodeAt(i + 6)
    const h = text.charCodeAt(i + 7)
    bits |= a | b | c | d | e | f | g | h
    mixBlock(a | (b << 8) | (c << 16) | (d << 24), e | (f << 8) | (g << 16) | (h << 24))
  }
  for (let i = blocksEnd; i < text.length; i++) {
    const code = text.charCodeAt(i)
    bits |= code
    mixByte(code, i - blocksEnd)
  }
  return bits < 0x80 ? finish(blocksEnd < text.length) : NOT_ASCII
}

const locateBytes = (bytes: Uint8Array): number => {
  start(bytes.length)
  const blocksEnd = bytes.length & ~7
  for (let i = 0; i < blocksEnd; i += 8) {
    mixBlock(
      bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24),
      bytes[i + 4]! | (bytes[i + 5]! << 8) | (bytes[i + 6]! << 16) | (bytes[i + 7]! << 24),
    )
  }
  for (let i = blocksEnd; i < bytes.length; i++) mixByte(bytes[i]!, i - blocksEnd)
  return finish(blocksEnd < bytes.length)
}

/** The hash in progress, in two halves. One hash at a time is enough: the functions here are synchronous. */
let low = 0
let high = 0

const start = (length: number): void => {
  low = (SEED ^ Math.imul(length, M_LOW)) | 0
  high = productHigh(length, 0)
}

const mixBlock = (blockLow: number, blockHigh: number): void => {
  let kLow = Math.imul(blockLow, M_LOW)
  const kHigh = productHigh(blockLow, blockHigh)
  kLow ^= kHigh >>> 15
  high ^= productHigh(kLow, kHigh)
  low ^= Math.imul(kLow, M_LOW)
  multiply()
}

const mixByte = (byte: number, position: number): void => {
  if (position < 4) low ^= byte << (position * 8)
  else high ^= byte << ((position - 4) * 8)
}

const finish = (tail: boolean): number => {
  if (tail) multiply()
  low ^= high >>> 15
  multiply()
  low ^= high >>> 15
  return (low & 0x3fff) | ((trailingZeros(low >>> 14, high) + 1) << 14)
}

const multiply = (): void => {
  high = productHigh(low, high)
  low = Math.imul(low, M_LOW)
}

/** The high half of `(b:a) * (M_HIGH:M_LOW)` mod 2^64; its low half is `Math.imul(a, M_LOW)`. */
const productHigh = (a: number, b: number): number => {
  const a0 = a & 0xffff
  const a1 = a >>> 16
  const p01 = a0 * M_LOW_1
  const p10 = a1 * M_LOW_0
  const middle = ((a0 * M_LOW_0) >>> 16) + (p01 & 0xffff) + (p10 & 0xffff)
  const carried = a1 * M_LOW_1 + (p01 >>> 16) + (p10 >>> 16) + (middle >>> 16)
  return (carried + Math.imul(a, M_HIGH) + Math.imul(b, M_LOW)) | 0
}

/** Zeros at the low end of the 50 bits `upper:low18`; 50 when all are zero. */
const trailingZeros = (low18: number, upper: number): number => {
  if (low18 !== 0) return 31 - Math.clz32(low18 & -low18)
  if (upper !== 0) return 18 + 31 - Math.clz32(upper & -upper)
  return 50
}
