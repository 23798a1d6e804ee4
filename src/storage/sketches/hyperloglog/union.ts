import { estimate } from './estimate.js'
import { REGISTERS } from './format.js'
import { locate } from './murmur.js'
import { bytesOf, isDense, pair, pairsIn, raiseByDense } from './pairs.js'

/** So many pairs take a quarter of the memory of all registers. */
const MOST_PAIRS = 1_024
const FEWEST_PAIRS = 8

/** All registers are 0 between two uses. */
const scratch = new Uint8Array(REGISTERS)

/**
 * The union of many sketches. Thousands of unions may exist at once: a union with few members takes little memory and time, and
 * no union takes more than 16 KiB.
 */
export class Union {
  #pairs = new Uint32Array(FEWEST_PAIRS)
  #length = 0
  #registers: Uint8Array | undefined

  /** Adds a member. */
  add(member: string): void {
    const located = locate(member)
    this.#raise(pair(located & 0x3fff, located >>> 14))
  }

  /** Adds all members of a sketch in Redis's format. @throws SketchFormatError */
  take(sketch: Uint8Array): void {
    if (isDense(sketch)) raiseByDense((this.#registers ??= this.#toRegisters()), sketch)
    else this.raise(pairsIn(sketch))
  }

  /** Adds all members of another union. */
  merge(other: Union): void {
    const others = other.#registers
    if (!others) {
      this.raise(other.#pairs.subarray(0, other.#length))
      return
    }
    const registers = (this.#registers ??= this.#toRegisters())
    for (let i = 0; i < REGISTERS; i++) if (others[i]! > registers[i]!) registers[i] = others[i]!
  }

  /** Raises registers to the ranks of a sketch, given as the result of `pairsIn`. */
  raise(pairs: Uint32Array): void {
    if (!this.#registers && this.#length + pairs.length > MOST_PAIRS) this.#registers = this.#toRegisters()
    if (this.#registers) raiseIn(this.#registers, pairs)
    else for (const one of pairs) this.#raise(one)
  }

  /** Distinct members, estimated as PFCOUNT does. */
  count(): number {
    const histogram = new Int32Array(64)
    if (this.#registers) {
      for (const rank of this.#registers) histogram[rank]!++
      return estimate(histogram)
    }
    histogram[0] = REGISTERS
    for (let i = 0; i < this.#length; i++) {
      const [register, rank] = [this.#pairs[i]! >> 6, this.#pairs[i]! & 63]
      const before = scratch[register]!
      if (rank <= before) continue
      histogram[before]!--
      histogram[rank]!++
      scratch[register] = rank
    }
    for (let i = 0; i < this.#length; i++) scratch[this.#pairs[i]! >> 6] = 0
    return estimate(histogram)
  }

  /** A sketch in Redis's format: the same members in any order give the same bytes. */
  toBytes(): Uint8Array {
    return bytesOf(this.#inOrder(), this.count())
  }

  #raise(one: number): void {
    if (!this.#registers && this.#length === MOST_PAIRS) this.#registers = this.#toRegisters()
    if (this.#registers) {
      if ((one & 63) > this.#registers[one >> 6]!) this.#registers[one >> 6] = one & 63
      return
    }
    if (this.#length === this.#pairs.length) {
      const grown = new Uint32Array(this.#pairs.length * 2)
      grown.set(this.#pairs)
      this.#pairs = grown
    }
    this.#pairs[this.#length++] = one
  }

  /** Each register once, with its rank. */
  #inOrder(): Uint32Array {
    const sorted = this.#registers ? new Uint32Array(REGISTERS) : this.#pairs.slice(0, this.#length).sort()
    let found = 0
    for (let i = 0; i < sorted.length; i++) {
      const one = this.#registers ? pair(i, this.#registers[i]!) : sorted[i]!
      // Pairs of one register are sorted by rank: the last one, with the highest rank, replaces the previous ones.
      if (found > 0 && sorted[found - 1]! >> 6 === one >> 6) found--
      if ((one & 63) > 0) sorted[found++] = one
    }
    return sorted.subarray(0, found)
  }

  #toRegisters(): Uint8Array {
    const registers = new Uint8Array(REGISTERS)
    raiseIn(registers, this.#pairs.subarray(0, this.#length))
    return registers
  }
}

const raiseIn = (registers: Uint8Array, pairs: Uint32Array): void => {
  for (const one of pairs) {
    if ((one & 63) > registers[one >> 6]!) registers[one >> 6] = one & 63
  }
}
