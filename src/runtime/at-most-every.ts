/**
 * A function whose calls share one run of `work`, while it runs and until `ms` after it began.
 * @param elapsed the time of a monotonic clock in milliseconds
 */
export const atMostEvery = <T>(ms: number, work: () => Promise<T>, elapsed: () => number): (() => Promise<T>) => {
  let last: { at: number; result: Promise<T>; isRunning: boolean } | undefined
  return async () => {
    if (last && (last.isRunning || elapsed() - last.at < ms)) return last.result
    const run = { at: elapsed(), result: work(), isRunning: true }
    last = run
    return run.result.finally(() => (run.isRunning = false))
  }
}
