/** Runs work after all earlier work has ended or failed. */
type InTurn = <T>(work: () => Promise<T>) => Promise<T>

export const createInTurn = (): InTurn => {
  let last: Promise<unknown> = Promise.resolve()
  return async (work) => {
    const working = last.then(work)
    // Drops the result, which would otherwise stay in memory until the next work has ended.
    last = working.then(
      () => undefined,
      () => undefined,
    )
    return working
  }
}
