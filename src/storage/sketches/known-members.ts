import { createRecentMap } from '../../runtime/recent-map.js'
import type { SketchAddition } from './sketch-store.js'

/** Members that a process knows to be in their sketches: adding them again would change nothing. */
export type KnownMembers = {
  /** What of these additions is not known to be there. */
  without: (additions: readonly SketchAddition[]) => SketchAddition[]
  /** Is called with additions that were stored. Sketches that any process may replace are not remembered. */
  learn: (additions: readonly SketchAddition[]) => void
  forget: () => void
}

const MOST = 50_000

/** @param ttl milliseconds for which a member is known; also how late the lifetime of its sketch may be renewed. */
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
    forget: () => {
      known.clear()
    },
  }
}
