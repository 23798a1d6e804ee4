import { microsOf, utcDay } from '../events/calendar.js'
import type { UncountedUserReason } from '../events/outcome-reason.js'
import { createAdditions, type CountingDeps } from './additions.js'
import type { EventDefinition } from './rules.js'
import { addTallies, reasonTally, type Tally } from './tallies.js'
import { keepUnresolved } from './unresolved-users.js'

/**
 * An event that another part of an operator's system reports: an event of the rules, its user, and the aggregations to increase.
 * Without a member the user is unknown, and `uncounted` is the reason. An `unresolvedMember` is counted when the user directory
 * answers.
 */
export type TrackedEvent = {
  event: string
  member?: string
  uncounted?: UncountedUserReason
  as: 'total' | 'unique' | 'both'
}

type TrackDeps = CountingDeps & { now: () => Date }

type TrackSkip = 'unknown_event' | UncountedUserReason

/** The outcomes of tracked events: each event is in exactly one of these numbers. */
type Tracked = { recorded: number; skipped: Partial<Record<TrackSkip, number>> }

/**
 * Counts tracked events at the current time, all of them or none. An event is skipped if no rule declares it with the wanted
 * aggregation. If only the user is unknown, the total still counts.
 */
export type Track = (events: readonly TrackedEvent[]) => Promise<Tracked>

export const createTrack =
  ({ database, sketches, rules, lifetimes, now }: TrackDeps): Track =>
  async (events) => {
    const at = microsOf(now())
    const day = utcDay(at)
    const report: Tracked = { recorded: 0, skipped: {} }
    const additions = createAdditions(rules, lifetimes)
    const tallies: (Tally & { value: number })[] = []
    for (const tracked of events) {
      const { event, member, as } = tracked
      const skip = skipOf(rules.events.get(event), tracked)
      if (skip) report.skipped[skip] = (report.skipped[skip] ?? 0) + 1
      else report.recorded++
      if (skip === 'unknown_event') continue
      if (skip) tallies.push({ ...reasonTally(skip, now()), value: 1 })
      if (as !== 'total' && member !== undefined) additions.add([{ event, member }], at)
      if (as !== 'unique' && counts(rules.events.get(event), 'total')) tallies.push({ name: event, day, value: 1 })
    }

    await database.transaction(async (tx) => {
      await Promise.all([
        addTallies(tx, tallies),
        sketches.add(additions.list(), tx),
        keepUnresolved(tx, additions.unresolved()),
      ])
    })
    return report
  }

const skipOf = (
  definition: EventDefinition | undefined,
  { member, uncounted = 'unknown_user', as }: TrackedEvent,
): TrackSkip | undefined => {
  if (!definition || !counts(definition, as)) return 'unknown_event'
  return as !== 'total' && definition.unique && member === undefined ? uncounted : undefined
}

const counts = (definition: EventDefinition | undefined, as: TrackedEvent['as']): boolean => {
  if (!definition) return false
  if (as === 'total') return definition.aggregations.includes('total')
  return as === 'both' || definition.unique !== undefined
}
