/** A wait of a length in milliseconds, until a time in milliseconds since 1970. */
export type Wait = { until: number; ms: number }

/** A wait that is over. */
export const NO_WAIT: Wait = { until: -Infinity, ms: 0 }

export const waitOf = (ms: number, now: Date): Wait => ({ until: now.getTime() + ms, ms })

/**
 * The milliseconds until the end of a wait; 0 if it is over. A wait is over, too, if its end is further ahead than its length: the
 * clock was ahead when the wait began.
 */
export const msLeft = ({ until, ms }: Wait, now: Date): number => {
  const left = until - now.getTime()
  return left > 0 && left <= ms ? left : 0
}

export const isOver = (wait: Wait, now: Date): boolean => msLeft(wait, now) === 0
