import { createCipheriv, createHmac } from 'node:crypto'

/**
 * Hashes of lines with a key, as two numbers of 32 bits. Whoever has a line and its hash could find out the key, and then guess the
 * address in another line from its hash: so a hash is stored only after `createSealIds`.
 */
export type LineHash = {
  /** Computes the hash of a line. The result is in `high` and `low` until the next line. */
  hash: (bytes: Uint8Array, start: number, end: number) => void
  high: () => number
  low: () => number
  /** The hash of all lines so far, in their order. It may be stored. */
  chain: () => Buffer
  /** A secret number for hash tables. */
  seed: number
}

const C1 = 0xcc9e2d51
const C2 = 0x1b873593
const C3 = 0x239b961b
const C4 = 0xab0e9789

/** Two hashes of the kind of MurmurHash3_x86_32 (Austin Appleby, public domain), with different seeds and constants. */
export const createLineHash = (key: string): LineHash => {
  const seeds = createHmac('sha256', key).update('lines of access logs').digest()
  const [seedHigh, seedLow] = [seeds.readInt32LE(0), seeds.readInt32LE(4)]
  let [high, low] = [0, 0]
  let [chainHigh, chainLow] = [seeds.readInt32LE(8), seeds.readInt32LE(12)]

  const mix = (block: number): void => {
    let k = Math.imul(block, C1)
    k = (k << 15) | (k >>> 17)
    high ^= Math.imul(k, C2)
    high = (high << 13) | (high >>> 19)
    high = (Math.imul(high, 5) + 0xe6546b64) | 0
    k = Math.imul(block, C3)
    k = (k << 16) | (k >>> 16)
    low ^= Math.imul(k, C4)
    low = (low << 17) | (low >>> 15)
    low = (Math.imul(low, 5) + 0x561ccd1b) | 0
  }

  return {
    hash: (bytes, start, end) => {
      high = seedHigh
      low = seedLow
      const blocksEnd = start + ((end - start) & ~3)
      for (let i = start; i < blocksEnd; i += 4) {
        mix(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
      }
      let rest = 0
      for (let i = blocksEnd; i < end; i++) rest |= bytes[i]! << (8 * (i - blocksEnd))
      mix(rest)
      high = finish(high ^ (end - start))
      low = finish(low ^ (end - start) ^ high)
      chainHigh = finish(Math.imul(chainHigh, C2) ^ high)
      chainLow = finish(Math.imul(chainLow, C4) ^ low ^ chainHigh)
    },
    seed: seeds.readInt32LE(16),
    high: () => high >>> 0,
    low: () => low >>> 0,
    chain: () => {
      const bytes = Buffer.alloc(8)
      bytes.writeInt32BE(chainHigh, 0)
      bytes.writeInt32BE(chainLow, 4)
      return createHmac('sha256', key).update('beginning of a log').update(bytes).digest().subarray(0, CHAIN_BYTES)
    },
  }
}

const CHAIN_BYTES = 16
const BLOCK = 16

/**
 * Creates a function that encrypts hashes of lines, of which each is two numbers: the first half of the block that AES-128 makes of a hash.
 * Equal hashes stay equal.
 */
export const createSealIds = (key: string): ((hashes: Uint32Array) => Uint32Array) => {
  const cipherKey = createHmac('sha256', key).update('ids of lines').digest().subarray(0, BLOCK)
  return (hashes) => {
    const blocks = new Uint32Array(2 * hashes.length)
    for (let i = 0; i < hashes.length; i++) blocks[blockPlace(i)] = hashes[i]!
    const cipher = createCipheriv('aes-128-ecb', cipherKey, null).setAutoPadding(false)
    const sealed = new Uint32Array(2 * hashes.length)
    Buffer.from(sealed.buffer).set(cipher.update(new Uint8Array(blocks.buffer)))
    return hashes.map((_hash, i) => sealed[blockPlace(i)]!)
  }
}

/** The place of a number, of which two are in each block of four. */
const blockPlace = (i: number): number => 2 * i - (i % 2)

const finish = (hash: number): number => {
  let h = hash
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
