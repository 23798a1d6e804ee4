/** Of the time, the share in which the event loop is in use, from which on a job that can wait does. */
const BUSY = 0.8
/** Runs that are left out one after the other. */
const MOST_LEFT_OUT = 2

/** @returns a function that answers the share of the time since its last call in which the event loop was in use. */
const utilizationSinceLast = (): (() => number) => {
  let last = performance.eventLoopUtilization()
  return () => {
    const since = last
    last = performance.eventLoopUtilization()
    return performance.eventLoopUtilization(last, since).utilization
  }
}

/**
 * A job that leaves its processor time to notifications: while the process is busy, two of three runs are left out. What they
 * would have done is left to the next run, which has a limit of its own.
 */
export const stepAside = (job: () => Promise<void>, utilization = utilizationSinceLast()): (() => Promise<void>) => {
  let leftOut = 0
  return async () => {
    if (utilization() > BUSY && leftOut < MOST_LEFT_OUT) {
      leftOut++
      return
    }
    leftOut = 0
    await job()
  }
}
