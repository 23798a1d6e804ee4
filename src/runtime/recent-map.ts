/** A map with a limited number or weight of entries. It drops the least recently used entries. */
export type RecentMap<Value> = {
  /** Also marks the entry as recently used. */
  get: (key: string) => Value | undefined
  set: (key: string, value: Value) => void
  clear: () => void
}

/** A key with more characters counts as several entries: names of users may have thousands of characters. */
const KEY_OF_ONE = 256

/**
 * Consists of two plain Maps. If the younger one is full, it replaces the older one, and a new younger one begins. An entry of
 * the older Map that is used moves to the younger one. This takes a fraction of the time of an exact list of least recently used
 * entries, and no memory while there are no entries.
 * @param most the largest weight of all entries, at least 2. The most recently used entries, up to half of this weight, are
 * always present
 * @param weightOf the weight of an entry, small compared with `most`. By default an entry weighs 1 for each 256 characters of its
 * key, or part of them
 */
export const createRecentMap = <Value extends string | number | object | true>(
  most: number,
  weightOf: (value: Value, key: string) => number = (_, key) => Math.max(1, Math.ceil(key.length / KEY_OF_ONE)),
): RecentMap<Value> => {
  const half = Math.floor(most / 2)
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()
  let weight = 0
  const set = (key: string, value: Value): void => {
    const added = weightOf(value, key)
    const replaced = young.get(key)
    if (replaced !== undefined) weight -= weightOf(replaced, key)
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
