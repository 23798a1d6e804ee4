/** Work in parts, one for each `yield`: a queue that others must not wait for. */
export type Parts = AsyncGenerator<void, void>

type Turns = {
  /** Whose turn was the last one: the next run begins behind it. */
  last?: string
}

/**
 * Does one part of each queue in turn, until all are empty or the run is over. At least one part is done. An error ends its queue, and
 * no other.
 * @param queues by names, in the order of their turns
 * @param isOver whether the run has had its time
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
      // A queue without anything takes no turn.
      if (isBegun && isOver()) return errors
    }
  }
  return errors
}
