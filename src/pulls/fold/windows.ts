import type { Micros } from '../../events/calendar.js'

const SECOND: Micros = 1_000_000

/** How long requests belong together, in microseconds. */
export type Windows = {
  /** Since the last request for a manifest of an invocation, for the next one. */
  join: Micros
  /** The same, for its blobs. */
  blobs: Micros
  /** Of silence between two sessions. */
  session: Micros
}

/** docs/definitions-of-numbers.md, "Which requests belong together". */
export const WINDOWS: Windows = { join: 60 * SECOND, blobs: 1_800 * SECOND, session: 1_800 * SECOND }
