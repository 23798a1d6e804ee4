/**
 * Runs work and answers the most processor time, in milliseconds, that this process used between two turns of the event loop
 * meanwhile. Time of the clock would depend on what else the machine does.
 */
export const longestTurn = async (work: () => Promise<unknown>): Promise<number> => {
  let longest = 0
  let last = process.cpuUsage()
  let watching = true
  const watch = (): void => {
    const { user, system } = process.cpuUsage(last)
    longest = Math.max(longest, (user + system) / 1_000)
    last = process.cpuUsage()
    if (watching) setImmediate(watch)
  }
  setImmediate(watch)
  try {
    await work()
    // What ran since the last turn counts, too.
    await new Promise((resolve) => setImmediate(resolve))
  } finally {
    watching = false
  }
  return longest
}

/** Runs work and answers its result, and in how many turns of the event loop it was done. */
export const turnsOf = async <T>(
  work: () => T | Promise<T>,
  onTurn: () => void = () => undefined,
): Promise<{ result: T; turns: number }> => {
  let turns = 1
  const count = (): void => {
    turns++
    onTurn()
    next = setImmediate(count)
  }
  let next = setImmediate(count)
  try {
    return { result: await work(), turns }
  } finally {
    clearImmediate(next)
  }
}
