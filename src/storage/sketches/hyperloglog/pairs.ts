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
import {
  isLongZeros,
  isValue,
  LARGEST_SPARSE_VALUE,
  LONGEST_VALUE_RUN,
  pushValues,
  pushZeros,
  runLength,
  valueOf,
} from './sparse.js'

/** A register and its rank in one number: ranks have six bits. */
export const pair = (register: number, rank: number): number => (register << 6) | rank

const unpacked = new Uint32Array(REGISTERS)

/**
 * The registers of a sketch that are not 0, each as a pair. The next call overwrites the result, so that many sketches can be read
 * one after the other in the same memory.
 * @param bytes a sketch in Redis's format.
 * @throws SketchFormatError for bytes that Redis would refuse.
 */
export const pairsIn = (bytes: Uint8Array): Uint32Array => {
  if (bytes.length < HEADER_BYTES || !isSketch(bytes)) throw new SketchFormatError('a sketch begins with "HYLL"')
  if (bytes[ENCODING] === SPARSE) return unpacked.subarray(0, unpackSparse(bytes))
  if (isDense(bytes)) return unpacked.subarray(0, unpackDense(bytes))
  throw new SketchFormatError(`expected a sparse sketch, or a dense one of ${DENSE_BYTES} bytes`)
}

export const isDense = (bytes: Uint8Array): boolean =>
  bytes.length === DENSE_BYTES && bytes[ENCODING] === DENSE && isSketch(bytes)

const isSketch = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x48 && bytes[1] === 0x59 && bytes[2] === 0x4c && bytes[3] === 0x4c

/** Raises ranks to the ranks of a dense sketch if those are higher. Three bytes contain four registers. */
export const raiseByDense = (registers: Uint8Array, bytes: Uint8Array): void => {
  for (let at = HEADER_BYTES, i = 0; i < REGISTERS; at += 3, i += 4) {
    const three = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)
    if ((three & 63) > registers[i]!) registers[i] = three & 63
    if (((three >> 6) & 63) > registers[i + 1]!) registers[i + 1] = (three >> 6) & 63
    if (((three >> 12) & 63) > registers[i + 2]!) registers[i + 2] = (three >> 12) & 63
    if (three >> 18 > registers[i + 3]!) registers[i + 3] = three >> 18
  }
}

const unpackDense = (bytes: Uint8Array): number => {
  const registers = new Uint8Array(REGISTERS)
  raiseByDense(registers, bytes)
  let found = 0
  for (let i = 0; i < REGISTERS; i++) if (registers[i]! > 0) unpacked[found++] = pair(i, registers[i]!)
  return found
}

const unpackSparse = (bytes: Uint8Array): number => {
  let found = 0
  let register = 0
  let at = HEADER_BYTES
  while (at < bytes.length && register < REGISTERS) {
    const byte = bytes[at]!
    const end = register + runLength(bytes, at)
    if (!isValue(byte)) {
      register = end
      at += isLongZeros(byte) ? 2 : 1
      continue
    }
    for (; register < end && register < REGISTERS; register++) unpacked[found++] = pair(register, valueOf(byte))
    register = end
    at++
  }
  if (register !== REGISTERS || at !== bytes.length)
    throw new SketchFormatError(`its runs cover ${register} of ${REGISTERS} registers`)
  return found
}

/**
 * A sketch in Redis's format with these registers. The same ranks always give the same bytes. The sketch is dense if a sparse one
 * would exceed Redis's limit.
 * @param pairs each register once, in ascending order
 * @param count the number of members, for the header
 */
export const bytesOf = (pairs: Uint32Array, count: number): Uint8Array => {
  const body = sparseBody(pairs) ?? denseBody(pairs)
  const bytes = new Uint8Array(HEADER_BYTES + body.length)
  bytes.set(emptyHeader())
  if (bytes.length === DENSE_BYTES) bytes[ENCODING] = DENSE
  new DataView(bytes.buffer).setBigUint64(CARDINALITY, BigInt(count), true)
  bytes.set(body, HEADER_BYTES)
  return bytes
}

const sparseBody = (pairs: Uint32Array): number[] | undefined => {
  const runs: number[] = []
  let register = 0
  for (let i = 0; i < pairs.length;) {
    const [first, rank] = [pairs[i]! >> 6, pairs[i]! & 63]
    if (rank > LARGEST_SPARSE_VALUE) return undefined
    let length = 1
    while (length < LONGEST_VALUE_RUN && pairs[i + length] === pair(first + length, rank)) length++
    pushZeros(runs, first - register)
    pushValues(runs, rank, length)
    if (runs.length > LARGEST_SPARSE_BYTES - HEADER_BYTES) return undefined
    register = first + length
    i += length
  }
  pushZeros(runs, REGISTERS - register)
  return runs.length > LARGEST_SPARSE_BYTES - HEADER_BYTES ? undefined : runs
}

/** Three bytes contain four registers. */
const denseBody = (pairs: Uint32Array): Uint8Array => {
  const body = new Uint8Array(DENSE_BYTES - HEADER_BYTES)
  for (const one of pairs) {
    const [register, rank] = [one >> 6, one & 63]
    const at = (register * 6) >> 3
    const shift = (register * 6) & 7
    body[at]! |= rank << shift
    if (shift > 2) body[at + 1]! |= rank >> (8 - shift)
  }
  return body
}
