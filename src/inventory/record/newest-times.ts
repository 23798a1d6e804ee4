import type { Micros } from '../../events/calendar.js'
import type { RegistryEvent } from '../../events/registry-event.js'
import { arrayText } from '../../storage/sql/array-text.js'

/** The newest recorded times for state, by scope. */
export type NewestTimes = ReadonlyMap<string, Micros>

/** Whose state an event changes: its repository, or all repositories that a rename moves. */
export const scopeOf = ({ registry, repository, rename }: RegistryEvent): string =>
  rename ? `${registry} ${rename.from} ${rename.to}` : `${registry} ${repository}`

/** The recorded times, and those of a batch. */
export const withBatch = (
  recorded: NewestTimes,
): { of: (event: RegistryEvent) => Micros; add: (event: RegistryEvent, at: Micros) => void } => {
  const added = new Map<string, Micros>()
  const ofScope = (scope: string): Micros => Math.max(added.get(scope) ?? -Infinity, recorded.get(scope) ?? -Infinity)
  return {
    of: (event) => ofScope(scopeOf(event)),
    add: (event, at) => {
      const scope = scopeOf(event)
      added.set(scope, Math.max(ofScope(scope), at))
    },
  }
}

/**
 * Selects `scope` and `at`: the newest time of the repositories of a scope, and of the renames that move anything from or to them. Events,
 * reconciliations and renames that were carried out raise `last_seen_at`.
 * @param p the text of a parameter: the values of `newestTimesValues` are from 1 on
 */
export const selectNewestTimes = (p: (number: number) => string): string => `
  select scope, max(at) as at from (
    select scope, (
        select max(last_seen_at) from inventory.repositories r
        where r.registry = wanted.registry and r.name >= wanted.first and r.name <= wanted.last
      ) as at
    from unnest(${p(1)}::text[], ${p(2)}::text[], ${p(3)}::text[], ${p(4)}::text[]) as wanted (scope, registry, first, last)
    union all
    select scope, (
        select max(n.at) from inventory.renames n where n.registry = wanted.registry and n.from_name = wanted.path
      ) as at
    from ${unnestPaths(p)}
    union all
    select scope, at
    from ${unnestPaths(p)}
    join (select registry, to_name as path, at from inventory.renames where carried_at is null) pending using (registry, path)
  ) times where at is not null group by scope`

const unnestPaths = (p: (number: number) => string): string =>
  `unnest(${p(5)}::text[], ${p(6)}::text[], ${p(7)}::text[]) as wanted (scope, registry, path)`

/** The parameters of `selectNewestTimes` for the scopes of events. */
export const newestTimesValues = (events: readonly RegistryEvent[]): string[] => {
  const scopes = new Map(events.map((event) => [scopeOf(event), event]))
  const ranges = [...scopes].flatMap(([scope, event]) => rangesOf(event).map((range) => ({ scope, ...range })))
  const paths = ranges.flatMap(({ scope, registry, first }) =>
    namespacesOf(first).map((path) => ({ scope, registry, path })),
  )
  return [
    ranges.map(({ scope }) => scope),
    ranges.map(({ registry }) => registry),
    ranges.map(({ first }) => first),
    ranges.map(({ last }) => last),
    paths.map(({ scope }) => scope),
    paths.map(({ registry }) => registry),
    paths.map(({ path }) => path),
  ].map(arrayText)
}

/** Names of repositories of a registry, from the first to the last one. */
type NameRange = { registry: string; first: string; last: string }

/** "0" follows "/" in the order of the names. */
const rangesOf = ({ registry, repository, rename }: RegistryEvent): NameRange[] =>
  rename
    ? [rename.from, rename.to].map((first) => ({ registry, first, last: `${first}0` }))
    : [{ registry, first: repository, last: repository }]

/** A path, and the namespaces that contain it. */
const namespacesOf = (path: string): string[] => {
  const parts = path.split('/')
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'))
}
