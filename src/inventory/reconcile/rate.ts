/** The text of a number of requests per second: digits, and at most nine decimals. */
export const RATE_TEXT = /^\d{1,4}(\.\d{1,9})?$/

/** Whether a run may send so many requests per second. */
export const isRate = (rate: number): boolean => rate >= 0.1 && rate <= 1_000
