import { createLruCache } from './lru-cache.js'
import type { SketchAddition } from './sketch-store.js'

/** Members that a process knows to be in their sketches: adding them again would change nothing. */
export type KnownMembers = {
  /** What of these additions is not known to be there. */
  without: (additions: readonly SketchAddition[]) => SketchAddition[]
  /** To be told once they are stored. Sketches that any process may replace are not remembered. */
  learn: (additions: readonly SketchAddition[]) => void
  forget: () => void
}

const MOST = 50_000

/** @param ttl milliseconds for which a member is known; also how late the lifetime of its sketch may be renewed. */
export const createKnownMembers = (ttl: number): KnownMembers => {
  const known = createLruCache<true>(MOST, { ttl })
  return {
    without: (additions) =>
      additions
        .map((addition) => ({
          ...addition,
          members: new Set([...addition.members].filter((member) => !known.get(`${addition.key} ${member}`))),
        }))
        .filter(({ members }) => members.size > 0),
    learn: (additions) => {
      for (const { key, members } of additions.filter(({ replaceable }) => !replaceable)) {
        for (const member of members) known.set(`${key} ${member}`, true)
      }
    },
    forget: () => {
      known.clear()
    },
  }
}
