import type { Micros } from '../../events/calendar.js'

/**
 * The parts of a line as positions in its bytes, without any text. All lines with the same bytes in `what` are the same request apart
 * from its time, size and requester, and all lines with the same bytes in `who` have the same requester.
 */
export type LineParts = {
  at: Micros
  /** The bytes of the answer; NaN if the line has none. */
  bytes: number
  /** Begin and end of each part, one after the other. */
  what: number[]
  who: number[]
}

/**
 * Finds the parts of a line of the usual form, far faster than a reader of the format reads it. The parts are those that the reader
 * finds, too.
 * @returns false for any other line, which the reader must read
 */
export type ScanLine = (bytes: Uint8Array, start: number, end: number, parts: LineParts) => boolean
