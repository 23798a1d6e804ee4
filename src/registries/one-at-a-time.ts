/** Runs one call of the work at a time. Items that arrive during a call go together into the next call. */
export const oneAtATime = <Item>(
  work: (items: readonly Item[]) => Promise<void>,
): ((items: readonly Item[]) => Promise<void>) => {
  let running: Promise<unknown> = Promise.resolve()
  let next: { items: Item[]; done: Promise<void> } | undefined
  return async (items) => {
    if (!next) {
      const batch: Item[] = []
      const done = running
        .catch(() => undefined)
        .then(async () => {
          next = undefined
          await work(batch)
        })
      next = { items: batch, done }
      running = done
    }
    next.items.push(...items)
    return next.done
  }
}
