/** The clock of the machine, as far as other clocks correct it. */
export type ServiceClock = {
  /** The time at which events arrive. If the database's clock is more than a second ahead, this is the database's time. */
  now: () => Date
  /**
   * The latest time that may be right. If the machine's clock was set back while the process ran or before, this time goes on from what it
   * showed. A process cannot know whether its clock was right before or is right now. It is at most a day ahead of `now`, so
   * that a clock that once was far ahead does not count for years.
   */
  latest: () => Date
  /** @param ms how far the machine's clock is behind the database's, at least */
  setBehind: (ms: number) => void
  /** Replaces the newest time that was recorded by the clock of a service. */
  setRecorded: (at: Date) => void
}

/** Clocks that NTP sets differ by less. */
export const MOST_BEHIND_MS = 1_000

const MOST_AHEAD_MS = 86_400_000

/** @param elapsed milliseconds of a monotonic clock */
export const createServiceClock = (machine: () => Date, elapsed = () => performance.now()): ServiceClock => {
  let behind = 0
  /** The latest time that the clock showed, and the recorded time, both when no time had elapsed. */
  let shown = -Infinity
  let recorded = -Infinity
  const now = (): Date => new Date(machine().getTime() + behind)
  return {
    now,
    latest: () => {
      const current = now().getTime()
      const ms = elapsed()
      shown = Math.max(shown, current - ms)
      return new Date(Math.min(Math.max(shown, recorded) + ms, current + MOST_AHEAD_MS))
    },
    setBehind: (ms) => {
      behind = ms > MOST_BEHIND_MS ? ms : 0
    },
    setRecorded: (at) => {
      recorded = at.getTime() - elapsed()
    },
  }
}
