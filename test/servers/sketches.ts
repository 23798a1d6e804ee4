import {
  DENSE,
  DENSE_BYTES,
  emptyHeader,
  ENCODING,
  HEADER_BYTES,
  REGISTERS,
} from '../../src/storage/sketches/hyperloglog/format.js'

/** A dense sketch with any ranks from 0 to 63, as nothing but an attacker or a broken disk makes one. */
export const denseOf = (rankOf: (register: number) => number): Uint8Array => {
  const bytes = new Uint8Array(DENSE_BYTES)
  bytes.set(emptyHeader())
  bytes[ENCODING] = DENSE
  for (let register = 0; register < REGISTERS; register++) {
    const [at, shift] = [HEADER_BYTES + ((register * 6) >> 3), (register * 6) & 7]
    bytes[at] = (bytes[at] ?? 0) | ((rankOf(register) << shift) & 255)
    if (shift > 2) bytes[at + 1] = (bytes[at + 1] ?? 0) | (rankOf(register) >> (8 - shift))
  }
  return bytes
}
