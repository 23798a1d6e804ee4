/** Sizes of a sketch in Redis's format. */
export const REGISTERS = 16_384
/** The highest rank: 14 of the 64 bits of a hash choose the register, and of the other 50 all may be 0. */
export const HIGHEST_RANK = 51
export const HEADER_BYTES = 16
export const DENSE_BYTES = HEADER_BYTES + (REGISTERS * 6) / 8
/** Redis's default of `hll-sparse-max-bytes`, which counts the header. */
export const LARGEST_SPARSE_BYTES = 3_000
export const DENSE = 0
export const SPARSE = 1
/** Offsets in the header. */
export const ENCODING = 4
export const CARDINALITY = 8

/** The bytes are not a sketch in Redis's format. The message names the invalid part. */
export class SketchFormatError extends Error {}

/** The header of a sketch without members, with its valid cardinality 0. */
export const emptyHeader = (): Uint8Array => {
  const header = new Uint8Array(HEADER_BYTES)
  header.set([0x48, 0x59, 0x4c, 0x4c, SPARSE])
  return header
}
