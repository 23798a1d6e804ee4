/**
 * Clocks of two processes differ by less. A stored time that is later than now by more than this was stored while the clock was ahead,
 * and says nothing.
 */
export const MOST_AHEAD_SECONDS = 3_600
