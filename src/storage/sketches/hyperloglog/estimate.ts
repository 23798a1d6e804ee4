import { HIGHEST_RANK, REGISTERS } from './format.js'

/**
 * The cardinality estimator of Redis: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches"
 * (arXiv 1702.01284), algorithm 6. The order of the floating point operations is Redis's, so results agree to the unit.
 */
/** The highest rank below that of a hash whose 50 bits are all 0. */
const MAX_RANK = HIGHEST_RANK - 1
const ALPHA = 0.7213475204444817

const sigma = (start: number): number => {
  if (start === 1) return Infinity
  let x = start
  let y = 1
  let z = x
  let previous
  do {
    x *= x
    previous = z
    z += x * y
    y += y
  } while (previous !== z)
  return z
}

const tau = (start: number): number => {
  if (start === 0 || start === 1) return 0
  let x = start
  let y = 1
  let z = 1 - x
  let previous
  do {
    x = Math.sqrt(x)
    previous = z
    y *= 0.5
    z -= (1 - x) * (1 - x) * y
  } while (previous !== z)
  return z / 3
}

/**
 * Distinct members for a histogram of register values: `histogram[rank]` registers have that rank (0 to 51). Registers that
 * no set of members can produce may give any number up to 2^53 - 1, never Infinity.
 */
export const estimate = (histogram: Int32Array): number => {
  let z = REGISTERS * tau((REGISTERS - histogram[MAX_RANK + 1]!) / REGISTERS)
  for (let rank = MAX_RANK; rank >= 1; rank--) {
    z += histogram[rank]!
    z *= 0.5
  }
  z += REGISTERS * sigma(histogram[0]! / REGISTERS)
  return Math.min(Math.round((ALPHA * REGISTERS * REGISTERS) / z), Number.MAX_SAFE_INTEGER)
}
