/** The utilization of the event loop above which a run is skipped. */
const BUSY = 0.8
/** Maximum number of consecutive runs that are skipped. */
const MAX_SKIPPED = 2

/** @returns a function that returns the utilization of the event loop since its previous call */
const utilizationSinceLast = (): (() => number) => {
  let last = performance.eventLoopUtilization()
  return () => {
    const since = last
    last = performance.eventLoopUtilization()
    return performance.eventLoopUtilization(last, since).utilization
  }
}

/**
 * Wraps a job so that it leaves processor time to notifications: while the process is busy, two of three runs are skipped. The next
 * run does their work, up to its own limit.
 */
export const stepAside = (job: () => Promise<void>, utilization = utilizationSinceLast()): (() => Promise<void>) => {
  let skipped = 0
  return async () => {
    if (utilization() > BUSY && skipped < MAX_SKIPPED) {
      skipped++
      return
    }
    skipped = 0
    await job()
  }
}
