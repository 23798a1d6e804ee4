/**
 * The clocks of two processes differ by less than this. If a stored time is ahead of the current time by more, it was stored while a
 * clock was ahead, and is ignored.
 */
export const MOST_AHEAD_SECONDS = 3_600
