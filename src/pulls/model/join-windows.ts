import { MICROS_PER_SECOND, type Micros } from '../../events/calendar.js'

/** How long requests belong together, in microseconds, since the previous request. */
export type JoinWindows = {
  /** Between two requests for manifests of one invocation. */
  join: Micros
  /** Before a request for a blob of an invocation. */
  blobs: Micros
  /** The silence that separates two sessions. */
  session: Micros
}

/** docs/definitions-of-numbers.md, "Which requests belong together". */
export const WINDOWS: JoinWindows = {
  join: 60 * MICROS_PER_SECOND,
  blobs: 1_800 * MICROS_PER_SECOND,
  session: 1_800 * MICROS_PER_SECOND,
}
