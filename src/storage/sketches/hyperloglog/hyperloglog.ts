import { estimate } from './estimate.js'
import {
  CARDINALITY,
  DENSE,
  DENSE_BYTES,
  emptyHeader,
  ENCODING,
  HEADER_BYTES,
  LARGEST_SPARSE_BYTES,
  REGISTERS,
  SketchFormatError,
  SPARSE,
} from './format.js'
import { locate } from './murmur.js'
import { forEachRun, raise } from './sparse.js'

/** The highest bit of the cached cardinality marks it as out of date. */
export const STALE_BYTE = 15
export const STALE_BIT = 0x80

/**
 * A HyperLogLog sketch in Redis's own format: 16,384 registers, standard error 0.81 %.
 * The same members in the same order give the same bytes as PFADD (Redis 7.0), and `count` gives the result of PFCOUNT.
 */
export class HyperLogLog {
  #header: Uint8Array
  #body: Uint8Array
  #dense: boolean

  /** An empty sketch, or the sketch in `bytes` (copied). Throws SketchFormatError for bytes Redis would refuse. */
  constructor(bytes?: Uint8Array) {
    if (bytes) checkFormat(bytes)
    this.#dense = bytes?.[ENCODING] === DENSE
    this.#header = bytes ? bytes.slice(0, HEADER_BYTES) : emptyHeader()
    this.#body = bytes ? bytes.slice(HEADER_BYTES) : emptyBody()
  }

  /** Adds a member. @returns whether the sketch changed */
  add(member: string | Uint8Array): boolean {
    const located = locate(member)
    if (!this.#raise(located & 0x3fff, located >>> 14)) return false
    this.#header[STALE_BYTE]! |= STALE_BIT
    return true
  }

  /** Distinct members, estimated, at most 2^53 - 1. Like PFCOUNT, it caches the result in the header until the next change. */
  count(): number {
    const view = new DataView(this.#header.buffer, this.#header.byteOffset)
    if ((this.#header[STALE_BYTE]! & STALE_BIT) === 0) {
      return Math.min(Number(view.getBigUint64(CARDINALITY, true)), Number.MAX_SAFE_INTEGER)
    }
    const count = estimate(histogramOf(this.registers()))
    view.setBigUint64(CARDINALITY, BigInt(count), true)
    return count
  }

  /** Adds all members of other sketches, as PFMERGE does: the result is dense if one of them is. */
  merge(...others: HyperLogLog[]): void {
    const highest = highestRegisters([this, ...others])
    if (others.some((other) => other.#dense)) this.#toDense()
    for (let register = 0; register < REGISTERS; register++) {
      const rank = highest[register]!
      if (rank > 0) this.#raise(register, rank)
    }
    this.#header[STALE_BYTE]! |= STALE_BIT
  }

  /** A copy of the sketch as Redis stores it, fit for SET. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(HEADER_BYTES + this.#body.length)
    bytes.set(this.#header)
    bytes.set(this.#body, HEADER_BYTES)
    return bytes
  }

  /** The rank in each of the 16,384 registers. */
  registers(): Uint8Array {
    const registers = new Uint8Array(REGISTERS)
    this.raiseInto(registers)
    return registers
  }

  /** Raises each of 16,384 ranks to the rank of this sketch if that is higher. */
  raiseInto(highest: Uint8Array): void {
    if (this.#dense) {
      for (let register = 0; register < REGISTERS; register++) {
        const rank = denseGet(this.#body, register)
        if (rank > highest[register]!) highest[register] = rank
      }
      return
    }
    forEachRun(this.#body, (first, length, rank) => {
      if (rank === 0) return
      for (let register = first; register < first + length; register++) {
        if (rank > highest[register]!) highest[register] = rank
      }
    })
  }

  #raise(register: number, rank: number): boolean {
    if (!this.#dense) {
      const raised = raise(this.#body, register, rank, LARGEST_SPARSE_BYTES - HEADER_BYTES)
      if (raised === 'unchanged') return false
      if (raised !== 'too_large') {
        this.#body = raised
        return true
      }
      this.#toDense()
    }
    return denseRaise(this.#body, register, rank)
  }

  #toDense(): void {
    if (this.#dense) return
    const body = new Uint8Array(DENSE_BYTES - HEADER_BYTES)
    this.registers().forEach((rank, register) => denseRaise(body, register, rank))
    this.#body = body
    this.#header[ENCODING] = DENSE
    this.#dense = true
  }
}

/** Distinct members of all sketches together, as PFCOUNT with several keys, at most 2^53 - 1; 0 without sketches. */
export const countUnion = (sketches: readonly HyperLogLog[]): number =>
  estimate(histogramOf(highestRegisters(sketches)))

const highestRegisters = (sketches: readonly HyperLogLog[]): Uint8Array => {
  const highest = new Uint8Array(REGISTERS)
  for (const sketch of sketches) sketch.raiseInto(highest)
  return highest
}

const histogramOf = (registers: Uint8Array): Int32Array => {
  const histogram = new Int32Array(64)
  for (let i = 0; i < REGISTERS; i++) histogram[registers[i]!]!++
  return histogram
}

/** One run of 16,384 zeros. */
const emptyBody = (): Uint8Array => new Uint8Array([0x7f, 0xff])

/** Reads a dense register: six bits, the lowest first, so that many registers extend into the next byte. */
const denseGet = (body: Uint8Array, register: number): number => {
  const at = (register * 6) >> 3
  const shift = (register * 6) & 7
  const low = body[at]! >> shift
  return shift > 2 ? (low | (body[at + 1]! << (8 - shift))) & 63 : low & 63
}

const denseRaise = (body: Uint8Array, register: number, rank: number): boolean => {
  if (denseGet(body, register) >= rank) return false
  const at = (register * 6) >> 3
  const shift = (register * 6) & 7
  body[at] = (body[at]! & ~(63 << shift)) | (rank << shift)
  if (shift > 2) body[at + 1] = (body[at + 1]! & ~(63 >> (8 - shift))) | (rank >> (8 - shift))
  return true
}

const checkFormat = (bytes: Uint8Array): void => {
  const magic = String.fromCharCode(...bytes.subarray(0, 4))
  if (bytes.length < HEADER_BYTES || magic !== 'HYLL') throw new SketchFormatError('a sketch begins with "HYLL"')
  if (bytes[ENCODING] === DENSE) {
    if (bytes.length !== DENSE_BYTES) throw new SketchFormatError(`a dense sketch has ${DENSE_BYTES} bytes`)
  } else if (bytes[ENCODING] === SPARSE) {
    const { registers, complete } = forEachRun(bytes.subarray(HEADER_BYTES), () => undefined)
    if (!complete || registers !== REGISTERS)
      throw new SketchFormatError(`its runs cover ${registers} of ${REGISTERS} registers`)
  } else {
    throw new SketchFormatError(`encoding ${bytes[ENCODING]!} is not known (0 dense, 1 sparse)`)
  }
}
