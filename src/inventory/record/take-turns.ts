/** Work in parts, one for each `yield`: a queue that must not delay other queues. */
export type Parts = AsyncGenerator<void, void>

type Turns = {
  /** The queue of the last turn: the next run begins after it. */
  last?: string
}

/**
 * Runs one part of each queue in turn, until all queues are empty or the time of the run is over. At least one part is run. An
 * error ends its own queue only.
 * @param queues by names, in the order of their turns
 * @param isOver whether the time of the run is over
 * @returns the errors.
 */
export const takeTurns = async (
  queues: ReadonlyMap<string, Parts>,
  turns: Turns,
  isOver: () => boolean,
): Promise<unknown[]> => {
  const errors: unknown[] = []
  const { last = '' } = turns
  const sorted = [...queues].sort(([a], [b]) => (a < b ? -1 : 1))
  const open = new Map([...sorted.filter(([name]) => name > last), ...sorted.filter(([name]) => name <= last)])
  let isBegun = false
  while (open.size > 0) {
    for (const [name, parts] of open) {
      turns.last = name
      try {
        if ((await parts.next()).done === true) open.delete(name)
        else isBegun = true
      } catch (error) {
        errors.push(error)
        open.delete(name)
        isBegun = true
      }
      // An empty queue takes no turn.
      if (isBegun && isOver()) return errors
    }
  }
  return errors
}
