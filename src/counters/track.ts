import { microsOf, utcDay } from '../events/calendar.js'
import type { Database } from '../storage/database.js'
import type { SketchStore } from '../storage/sketch-store.js'
import { createAdditions } from './additions.js'
import type { Lifetimes } from './keys.js'
import type { EventDefinition, Rules } from './rules.js'
import { addTallies } from './tallies.js'

/** Something that another part of an operator's system saw: an event of the rules, who did it, and what to count it as. */
export type TrackedEvent = { event: string; member?: string; as: 'total' | 'unique' | 'both' }

type Needs = { database: Database; sketches: SketchStore; rules: Rules; lifetimes: Lifetimes; now: () => Date }

type Tracked = { recorded: number; skipped: { unknown_event?: number } }

/** Counts tracked events now, all of them or none. What no rule declares to be counted that way is skipped. */
export type Track = (events: readonly TrackedEvent[]) => Promise<Tracked>

export const createTrack =
  ({ database, sketches, rules, lifetimes, now }: Needs): Track =>
  async (events) => {
    const at = microsOf(now())
    const known = events.filter(({ event, as }) => counts(rules.events.get(event), as))
    const additions = createAdditions(rules, lifetimes)
    for (const { event, member, as } of known) {
      if (as !== 'total' && member !== undefined) additions.add([{ event, member }], at)
    }
    const totals = known
      .filter(({ event, as }) => as !== 'unique' && counts(rules.events.get(event), 'total'))
      .map(({ event }) => ({ name: event, day: utcDay(at), value: 1 }))

    await database.transaction(async (tx) => {
      await Promise.all([addTallies(tx, totals), sketches.add(additions.list(), tx)])
    })
    const unknown = events.length - known.length
    return { recorded: known.length, skipped: unknown > 0 ? { unknown_event: unknown } : {} }
  }

const counts = (definition: EventDefinition | undefined, as: TrackedEvent['as']): boolean => {
  if (!definition) return false
  if (as === 'total') return definition.aggregations.includes('total')
  return as === 'both' || definition.unique !== undefined
}
