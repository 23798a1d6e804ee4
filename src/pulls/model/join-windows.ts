import { MICROS_PER_SECOND, type Micros } from '../../events/calendar.js'

/** How long requests belong together, in microseconds. */
export type JoinWindows = {
  /** Since the last request for a manifest of an invocation, for the next one. */
  join: Micros
  /** The same, for its blobs. */
  blobs: Micros
  /** Of silence between two sessions. */
  session: Micros
}

/** docs/definitions-of-numbers.md, "Which requests belong together". */
export const WINDOWS: JoinWindows = {
  join: 60 * MICROS_PER_SECOND,
  blobs: 1_800 * MICROS_PER_SECOND,
  session: 1_800 * MICROS_PER_SECOND,
}
