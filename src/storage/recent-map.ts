/** A map of a bounded number of entries, which forgets those that were not used for longest. */
export type RecentMap<Value> = {
  /** Also makes the entry one that was used. */
  get: (key: string) => Value | undefined
  set: (key: string, value: Value) => void
  clear: () => void
}

/**
 * Two generations of a plain Map: when the younger is full it becomes the older, and what is then used again comes back. That
 * takes a fraction of the time of an exact list of least recently used entries, and no memory before there are entries.
 * @param most entries, at least 2; the half of them that was used last is certainly there
 */
export const createRecentMap = <Value extends string | number | object | true>(most: number): RecentMap<Value> => {
  const half = Math.floor(most / 2)
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()
  const set = (key: string, value: Value): void => {
    if (young.size >= half && !young.has(key)) {
      old = young
      young = new Map()
    }
    young.set(key, value)
  }
  return {
    get: (key) => {
      const recent = young.get(key)
      if (recent !== undefined) return recent
      const found = old.get(key)
      if (found !== undefined) set(key, found)
      return found
    },
    set,
    clear: () => {
      young = new Map()
      old = new Map()
    },
  }
}
