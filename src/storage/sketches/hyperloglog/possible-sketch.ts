import { CARDINALITY, HIGHEST_RANK, SketchFormatError } from './format.js'
import { countUnion, HyperLogLog, STALE_BIT, STALE_BYTE } from './hyperloglog.js'

/**
 * Checks that a set of members can produce a sketch of another installation. If the cached cardinality does not match the
 * registers, it is marked as out of date, because PFCOUNT would return it.
 * @param bytes in Redis's format
 * @throws SketchFormatError for bytes that Redis would refuse, for a rank that no hash has, and for more members than 2^53 - 1
 */
export const possibleSketch = (bytes: Uint8Array): Uint8Array => {
  const sketch = new HyperLogLog(bytes)
  const highest = sketch.registers().reduce((a, b) => Math.max(a, b), 0)
  if (highest > HIGHEST_RANK)
    throw new SketchFormatError(`a register has the rank ${highest}, and no hash has one above ${HIGHEST_RANK}`)
  const count = countUnion([sketch])
  if (count >= Number.MAX_SAFE_INTEGER)
    throw new SketchFormatError('its registers give more members than can be counted')
  const result = sketch.toBytes()
  const cached = new DataView(result.buffer).getBigUint64(CARDINALITY, true)
  if (cached !== BigInt(count)) result[STALE_BYTE]! |= STALE_BIT
  return result
}
