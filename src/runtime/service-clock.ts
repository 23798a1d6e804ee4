/** The clock of the machine, as far as other clocks correct it. */
export type ServiceClock = {
  /** The time at which events arrive. If the database's clock is more than a second ahead, this is the database's time. */
  now: () => Date
  /**
   * The latest time that may be right. If the machine's clock was set back while the process ran or before, this time goes on from what it
   * showed. A process cannot know whether its clock was right before or is right now.
   */
  latest: () => Date
  /** @param ms how far the machine's clock is behind the database's, at least */
  setBehind: (ms: number) => void
  /** Notes a time that was recorded by the clock of a service. */
  noteRecorded: (at: Date) => void
}

/** Clocks that NTP sets differ by less. */
export const MOST_BEHIND_MS = 1_000

/** @param elapsed milliseconds of a clock that nobody sets */
export const createServiceClock = (machine: () => Date, elapsed = () => performance.now()): ServiceClock => {
  let behind = 0
  /** The latest time of a clock, when no time had elapsed. */
  let origin = -Infinity
  const now = (): Date => new Date(machine().getTime() + behind)
  const note = (at: Date): void => {
    origin = Math.max(origin, at.getTime() - elapsed())
  }
  return {
    now,
    latest: () => {
      note(now())
      return new Date(origin + elapsed())
    },
    setBehind: (ms) => {
      behind = ms > MOST_BEHIND_MS ? ms : 0
    },
    noteRecorded: note,
  }
}
