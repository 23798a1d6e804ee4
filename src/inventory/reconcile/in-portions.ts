/** Requests that are prepared at once: enough for every rate, and few in memory, however many names a registry lists. */
const PORTION = 1_000

/**
 * Runs `work` for each item, a portion of the items at a time.
 * @returns the results in the order of the items
 * @throws the first failure; later portions are not started
 */
export const inPortions = async <Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> => {
  const results: Result[] = []
  for (let from = 0; from < items.length; from += PORTION) {
    for (const result of await Promise.all(items.slice(from, from + PORTION).map(work))) results.push(result)
  }
  return results
}
