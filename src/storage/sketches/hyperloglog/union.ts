import { estimate } from './estimate.js'
import { REGISTERS } from './format.js'
import { locate } from './murmur.js'
import { bytesOf, isDense, pair, pairsIn, raiseByDense } from './pairs.js'

/** So many pairs take a quarter of the room of all registers. */
const MOST_PAIRS = 1_024
const FEWEST_PAIRS = 8

/** All registers 0 between two uses. */
const scratch = new Uint8Array(REGISTERS)

/**
 * What many sketches have together. Thousands of them may be made at once: one with few members takes little room and time, and
 * none more than 16 KiB.
 */
export class Union {
  #pairs = new Uint32Array(FEWEST_PAIRS)
  #length = 0
  #registers: Uint8Array | undefined

  /** Takes in a member. */
  add(member: string): void {
    const place = locate(member)
    this.#raise(pair(place & 0x3fff, place >>> 14))
  }

  /** Takes in a sketch in Redis's format. @throws SketchFormatError */
  take(sketch: Uint8Array): void {
    if (isDense(sketch)) raiseByDense((this.#registers ??= this.#toRegisters()), sketch)
    else this.raise(pairsIn(sketch))
  }

  /** Takes in all of another. */
  unite(other: Union): void {
    const others = other.#registers
    if (!others) {
      this.raise(other.#pairs.subarray(0, other.#length))
      return
    }
    const registers = (this.#registers ??= this.#toRegisters())
    for (let i = 0; i < REGISTERS; i++) if (others[i]! > registers[i]!) registers[i] = others[i]!
  }

  /** Takes in the registers of a sketch, as `pairsIn` tells them. */
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
      // Of one register the highest rank stands last, and takes the place of those before.
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
