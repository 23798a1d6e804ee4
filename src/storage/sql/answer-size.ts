/** Bytes of an answer. As JavaScript objects it takes a few times as much memory. */
export const LARGEST_ANSWER = 32 * 1024 * 1024

/** The approximate number of bytes of a value in an answer. */
export const sizeOf = (value: unknown): number => {
  if (typeof value === 'string') return 8 + Buffer.byteLength(value)
  if (Buffer.isBuffer(value)) return 8 + value.length
  if (Array.isArray(value)) return value.reduce<number>((size, one) => size + sizeOf(one), 16)
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) return sizeOf(Object.entries(value))
  return 8
}
