import { dirname, resolve } from 'node:path'
import { DefinitionError, type ReadDefinition } from '../definitions/definition-file.js'
import type { Action, RegistryEvent } from '../events/registry-event.js'
import type { Aggregation } from './keys.js'

/** The kind of member that a rule counts: the user directory's id, or the deploy token. */
export type UniqueKind = 'user' | 'deploy_token'
/** `known` if an earlier event of the repository is known. */
export type RepositoryState = 'known' | 'unknown'

type Presence = 'present' | 'absent'
type Condition = {
  action: Action | 'check'
  tag?: Presence
  digest?: Presence
  repository?: RepositoryState
  actor_types?: string[]
}

/** One event of the rules, as definitions/schema/events.json describes it. */
export type EventDefinition = {
  name: string
  description: string
  category: string
  when?: Condition
  unique?: UniqueKind
  aggregations: Aggregation[]
}

export type Rules = {
  /** Every declared event, by name. */
  events: ReadonlyMap<string, EventDefinition>
  /** The events that a registry event counts for. */
  matching: (event: RegistryEvent, repository: RepositoryState) => readonly EventDefinition[]
}

const ANY_OTHER_TYPE = 'any'

/**
 * Reads a rules file and those it extends.
 * @throws DefinitionError naming file and key.
 */
export const loadRules = (file: string, read: ReadDefinition): Rules => compileRules(readEvents(file, read, []))

const readEvents = (file: string, read: ReadDefinition, extendedBy: string[]): EventDefinition[] => {
  if (extendedBy.includes(file)) throw new DefinitionError(file, ['extends itself, in a circle'])
  const document = read(file, 'events') as { extends?: string; events: EventDefinition[] }
  const problems = document.events.flatMap((event, i) => problemsOf(event, `events[${i}]`))
  const names = document.events.map(({ name }) => name)
  const twice = names.filter((name, i) => names.indexOf(name) !== i)
  problems.push(...twice.map((name) => `the event ${name} is declared twice`))
  if (problems.length > 0) throw new DefinitionError(file, problems)

  const base =
    document.extends === undefined
      ? []
      : readEvents(resolve(dirname(file), document.extends), read, [...extendedBy, file])
  return [...base.filter(({ name }) => !names.includes(name)), ...document.events]
}

const problemsOf = ({ aggregations, unique, when }: EventDefinition, key: string): string[] => {
  const counts = aggregations.some((aggregation) => aggregation !== 'total')
  const problems = []
  if (counts && !unique) problems.push(`${key}.unique is missing, expected user or deploy_token for weekly and monthly`)
  if (!counts && unique) problems.push(`${key}.aggregations is total only, so ${key}.unique has no use; remove one`)
  if (when?.repository && aggregations.includes('total')) {
    problems.push(`${key}.aggregations has total, which cannot depend on ${key}.when.repository; remove one`)
  }
  return problems
}

const compileRules = (definitions: EventDefinition[]): Rules => {
  const named = new Set(definitions.flatMap(({ when }) => when?.actor_types ?? []))
  const actorMatches = (types: string[], type: string): boolean =>
    named.has(type) ? types.includes(type) : types.includes(ANY_OTHER_TYPE)

  const conditionMatches = (when: Condition, event: RegistryEvent, repository: RepositoryState): boolean =>
    when.action === countedAction(event) &&
    presenceMatches(when.tag, event.tag) &&
    presenceMatches(when.digest, event.digest) &&
    (when.repository === undefined || when.repository === repository) &&
    (when.actor_types === undefined || actorMatches(when.actor_types, event.actor.type ?? ANY_OTHER_TYPE))

  // Rules depend only on the parts of this key, so there are few distinct results.
  const matchesByShape = new Map<string, readonly EventDefinition[]>()
  const shapeOf = (event: RegistryEvent, repository: RepositoryState): string => {
    const type = event.actor.type !== undefined && named.has(event.actor.type) ? event.actor.type : ANY_OTHER_TYPE
    return `${countedAction(event)} ${event.tag !== undefined} ${event.digest !== undefined} ${repository} ${type}`
  }

  return {
    events: new Map(definitions.map((definition) => [definition.name, definition])),
    matching: (event, repository) => {
      const shape = shapeOf(event, repository)
      const known = matchesByShape.get(shape)
      if (known) return known
      const answer = definitions.filter(({ when }) => when && conditionMatches(when, event, repository))
      matchesByShape.set(shape, answer)
      return answer
    },
  }
}

/** A HEAD transfers nothing: it is a check, not a pull. */
const countedAction = ({ action, method }: RegistryEvent): Action | 'check' =>
  action === 'pull' && method === 'HEAD' ? 'check' : action

const presenceMatches = (wanted: Presence | undefined, value: string | undefined): boolean =>
  wanted === undefined || (wanted === 'present') === (value !== undefined)
