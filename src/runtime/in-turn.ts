/** Runs work when all work before it has ended, whether or not that failed. */
type InTurn = <T>(work: () => Promise<T>) => Promise<T>

export const createInTurn = (): InTurn => {
  let last: Promise<unknown> = Promise.resolve()
  return async (work) => {
    const working = last.then(work)
    // Without the result, which would stay in memory until the next work has ended.
    last = working.then(
      () => undefined,
      () => undefined,
    )
    return working
  }
}
