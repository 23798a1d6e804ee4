/** Runs work when all work before it has ended, whether or not that failed. */
type InTurn = <T>(work: () => Promise<T>) => Promise<T>

export const createInTurn = (): InTurn => {
  let last: Promise<unknown> = Promise.resolve()
  return async (work) => {
    const working = last.then(work)
    last = working.catch(() => undefined)
    return working
  }
}
