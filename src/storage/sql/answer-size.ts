/** Bytes of an answer. As objects of JavaScript it takes a few times as many. */
export const LARGEST_ANSWER = 32 * 1024 * 1024

/** Bytes that a value takes in an answer, about. */
export const sizeOf = (value: unknown): number => {
  if (typeof value === 'string') return 8 + Buffer.byteLength(value)
  if (Buffer.isBuffer(value)) return 8 + value.length
  if (Array.isArray(value)) return value.reduce<number>((size, one) => size + sizeOf(one), 16)
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) return sizeOf(Object.entries(value))
  return 8
}
