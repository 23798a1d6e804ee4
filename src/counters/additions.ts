import { utcDay, type Micros } from '../events/calendar.js'
import type { RegistryEvent } from '../events/registry-event.js'
import type { Database } from '../storage/sql/database.js'
import type { SketchAddition, SketchStore } from '../storage/sketches/sketch-store.js'
import { sketchKey, type Aggregation, type Lifetimes, type SketchKey } from './keys.js'
import type { EventDefinition, RepositoryState, Rules, UniqueKind } from './rules.js'
import type { Tally } from './tallies.js'

/** The dependencies of all counting: the stores, the rules, and the lifetimes of sketches. */
export type CountingDeps = { database: Database; sketches: SketchStore; rules: Rules; lifetimes: Lifetimes }

/** The user and the deploy token of an event, if they are known. */
export type Members = Partial<Record<UniqueKind, string>>

/** A member that counts as one unique of one event of the rules. */
export type Contribution = { event: string; member: string }

/** Marks the name of a person whose id the user directory has not returned yet. No id begins with a question mark. */
const UNRESOLVED = '?'
export const unresolvedMember = (name: string): string => UNRESOLVED + name
export const isResolved = ({ member }: Pick<Contribution, 'member'>): boolean => !member.startsWith(UNRESOLVED)

/** A registry event with the members that it counts for. */
export type CountedEvent = { event: RegistryEvent; members: Members }

const isCounted = (definition: EventDefinition): boolean =>
  definition.aggregations.some((aggregation) => aggregation !== 'total')

/** Which kinds of unique a rule may count this event for. */
export const uniqueKinds = (rules: Rules, event: RegistryEvent): ReadonlySet<UniqueKind> => {
  const kinds = new Set<UniqueKind>()
  for (const state of ['known', 'unknown'] as const) {
    for (const { unique } of rules.matching(event, state)) if (unique) kinds.add(unique)
  }
  return kinds
}

/** The uniques of an event that do not depend on the repository, and those that do, for either state. */
export const contributionsOf = (
  rules: Rules,
  { event, members }: CountedEvent,
): { always: Contribution[]; if: Record<RepositoryState, Contribution[]> } => {
  const always = []
  const conditional: Record<RepositoryState, Contribution[]> = { known: [], unknown: [] }
  for (const state of ['known', 'unknown'] as const) {
    for (const definition of rules.matching(event, state)) {
      const member = definition.unique && members[definition.unique]
      if (member === undefined || !isCounted(definition)) continue
      const contribution = { event: definition.name, member }
      if (definition.when?.repository) conditional[state].push(contribution)
      else if (state === 'known') always.push(contribution)
    }
  }
  return { always, if: conditional }
}

/** The tallies that an event increases by one. */
export const talliesOf = (rules: Rules, event: RegistryEvent): Tally[] =>
  rules
    .matching(event, 'known')
    .filter(({ aggregations }) => aggregations.includes('total'))
    .map(({ name }) => ({ name, day: utcDay(event.at) }))

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
