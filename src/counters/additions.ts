import type { Micros } from '../events/calendar.js'
import type { Database } from '../storage/sql/database.js'
import type { SketchAddition, SketchStore } from '../storage/sketches/sketch-store.js'
import { isResolved, type Contribution } from './contributions.js'
import { sketchKey, type Aggregation, type Lifetimes, type SketchKey } from './keys.js'
import type { Rules } from './rules.js'

/** The dependencies of all counting: the stores, the rules, and the lifetimes of sketches. */
export type CountingDeps = { database: Database; sketches: SketchStore; rules: Rules; lifetimes: Lifetimes }

export type Additions = {
  add: (contributions: readonly Contribution[], at: Micros) => void
  /** The additions to sketches. */
  list: () => SketchAddition[]
  /** The contributions that cannot be added to a sketch yet, because their user is not resolved. */
  unresolved: () => (Contribution & { at: Micros })[]
}

/** Gathers contributions into one addition for each sketch. */
export const createAdditions = (rules: Rules, lifetimes: Lifetimes): Additions => {
  const byKey = new Map<SketchKey, { members: Set<string>; seconds: number }>()
  const unresolved: (Contribution & { at: Micros })[] = []
  const put = (aggregation: 'weekly' | 'monthly', { event, member }: Contribution, at: Micros): void => {
    const key = sketchKey(event, aggregation, at)
    const addition = byKey.get(key) ?? { members: new Set<string>(), seconds: lifetimes[aggregation] }
    addition.members.add(member)
    byKey.set(key, addition)
  }
  return {
    add: (contributions, at) => {
      for (const contribution of contributions) {
        if (isResolved(contribution)) {
          for (const aggregation of sketchAggregations(rules, contribution.event)) put(aggregation, contribution, at)
        } else {
          unresolved.push({ ...contribution, at })
        }
      }
    },
    list: () => [...byKey].map(([key, addition]) => ({ key, ...addition })),
    unresolved: () => unresolved,
  }
}

/** The periods for which an event has sketches; an empty list if the rules no longer declare the event. */
export const sketchAggregations = (rules: Rules, event: string): ('weekly' | 'monthly')[] =>
  (rules.events.get(event)?.aggregations ?? []).filter((aggregation: Aggregation) => aggregation !== 'total')
