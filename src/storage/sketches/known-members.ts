import { createRecentMap } from '../../runtime/recent-map.js'
import type { SketchAddition } from './sketch-store.js'

/** Members that are known to be in their sketches: adding them again would change nothing. */
export type KnownMembers = {
  /** The additions without the known members. */
  without: (additions: readonly SketchAddition[]) => SketchAddition[]
  /** Remembers stored additions, except those to sketches that any process may replace. */
  learn: (additions: readonly SketchAddition[]) => void
  clear: () => void
}

const MOST = 50_000

/** @param ttl milliseconds for which a member is known; the renewal of its sketch's lifetime may be late by as much */
export const createKnownMembers = (ttl: number): KnownMembers => {
  /** The time of the monotonic clock until which each member is known. */
  const known = createRecentMap<number>(MOST)
  return {
    without: (additions) => {
      const now = performance.now()
      const unknown: SketchAddition[] = []
      for (const addition of additions) {
        const members = new Set<string>()
        for (const member of addition.members) {
          if ((known.get(`${addition.key} ${member}`) ?? -Infinity) < now) members.add(member)
        }
        if (members.size > 0) unknown.push({ ...addition, members })
      }
      return unknown
    },
    learn: (additions) => {
      const until = performance.now() + ttl
      for (const { key, members } of additions.filter(({ replaceable }) => !replaceable)) {
        for (const member of members) known.set(`${key} ${member}`, until)
      }
    },
    clear: () => {
      known.clear()
    },
  }
}
