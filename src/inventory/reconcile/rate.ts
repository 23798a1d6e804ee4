/** A number of requests a second as a text: digits, and at most nine decimals. */
export const RATE_TEXT = /^\d{1,4}(\.\d{1,9})?$/

/** Whether a run may send so many requests a second. */
export const isRate = (rate: number): boolean => rate >= 0.1 && rate <= 1_000
