/** A map with a limited number or weight of entries. It drops the least recently used entries. */
export type RecentMap<Value> = {
  /** Also marks the entry as recently used. */
  get: (key: string) => Value | undefined
  set: (key: string, value: Value) => void
  clear: () => void
}

/** Characters of a key that are as much as an entry: names of users may have thousands. */
const KEY_OF_ONE = 256

/**
 * Two generations of a plain Map: when the younger is full it becomes the older, and what is then used again comes back. That
 * takes a fraction of the time of an exact list of least recently used entries, and no memory before there are entries.
 * @param most the weight of all entries, at least 2; those used last, up to half of it, are certainly there
 * @param weightOf the weight of an entry, small compared with `most`. Unless it is given, `most` is a number of entries with keys of up to 256
 * characters, and each 256 characters more are another entry
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
