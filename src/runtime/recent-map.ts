/** A map of a bounded number or weight of entries, which forgets those that were not used for longest. */
export type RecentMap<Value> = {
  /** Also makes the entry one that was used. */
  get: (key: string) => Value | undefined
  set: (key: string, value: Value) => void
  clear: () => void
}

/**
 * Two generations of a plain Map: when the younger is full it becomes the older, and what is then used again comes back. That
 * takes a fraction of the time of an exact list of least recently used entries, and no memory before there are entries.
 * @param most the weight of all entries, at least 2; those used last, up to half of it, are certainly there
 * @param weightOf the weight of a value, small compared with `most`; 1 unless given, so that `most` is a number of entries
 */
export const createRecentMap = <Value extends string | number | object | true>(
  most: number,
  weightOf: (value: Value) => number = () => 1,
): RecentMap<Value> => {
  const half = Math.floor(most / 2)
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()
  let weight = 0
  const set = (key: string, value: Value): void => {
    const added = weightOf(value)
    const replaced = young.get(key)
    if (replaced !== undefined) weight -= weightOf(replaced)
    else if (weight + added > half) {
      old = young
      young = new Map()
      weight = 0
    }
    weight += added
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
      weight = 0
    },
  }
}
