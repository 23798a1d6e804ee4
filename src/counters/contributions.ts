import { utcDay } from '../events/calendar.js'
import type { RegistryEvent } from '../events/registry-event.js'
import type { EventDefinition, RepositoryState, Rules, UniqueKind } from './rules.js'
import type { Tally } from './tallies.js'

/** The user and the deploy token of an event, if they are known. */
export type Members = Partial<Record<UniqueKind, string>>

/** A member that counts as one unique of one event of the rules. */
export type Contribution = { event: string; member: string }

/** Marks the name of a person whose id the user directory has not returned yet. No id begins with a question mark. */
export const UNRESOLVED = '?'
export const unresolvedMember = (name: string): string => UNRESOLVED + name
export const nameOfUnresolved = (member: string): string => member.slice(UNRESOLVED.length)
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
