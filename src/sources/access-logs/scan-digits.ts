const ZERO = 0x30
/** The longest whole number that is exact for certain. */
const MOST_DIGITS = 15

export const NO_DIGITS = -1

/** The whole number that the bytes are; NO_DIGITS if they are none, or if there are more than 15 digits. */
export const digitsIn = (bytes: Uint8Array, start: number, end: number): number => {
  if (end <= start || end - start > MOST_DIGITS) return NO_DIGITS
  let number = 0
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - ZERO
    if (digit < 0 || digit > 9) return NO_DIGITS
    number = number * 10 + digit
  }
  return number
}
