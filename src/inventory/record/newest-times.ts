import type { Micros } from '../../events/calendar.js'
import type { RegistryEvent } from '../../events/registry-event.js'
import { arrayText } from '../../storage/sql/array-text.js'

/** The newest recorded times for state, by scope. */
export type NewestTimes = ReadonlyMap<string, Micros>

/** Whose state an event changes: its repository, or all repositories that a rename moves. */
export const scopeOf = ({ registry, repository, rename }: RegistryEvent): string =>
  rename ? `${registry} ${rename.from} ${rename.to}` : `${registry} ${repository}`

/**
 * The recorded times, and those of a batch.
 * @param hasRename whether the batch renames anything. A rename is later than what it moves, and so is what follows it there
 */
export const withBatch = (
  recorded: NewestTimes,
  hasRename: boolean,
): { of: (event: RegistryEvent) => Micros; add: (event: RegistryEvent, at: Micros) => void } => {
  const added = createNewest()
  /** The newest times in each namespace, and the newest renames of each path. */
  const inside = createNewest()
  const renamed = createNewest()
  const ofRenames = (event: RegistryEvent): Micros => {
    const paths = pathsOf(event)
    const moved = event.rename ? inside.of(paths.map((path) => keyOf(event, path))) : -Infinity
    return Math.max(moved, renamed.of(paths.flatMap(namespacesOf).map((path) => keyOf(event, path))))
  }
  return {
    of: (event) => {
      const scope = scopeOf(event)
      const own = Math.max(added.of([scope]), recorded.get(scope) ?? -Infinity)
      return hasRename ? Math.max(own, ofRenames(event)) : own
    },
    add: (event, at) => {
      added.raise(scopeOf(event), at)
      if (!hasRename) return
      for (const path of pathsOf(event)) {
        for (const namespace of namespacesOf(path)) inside.raise(keyOf(event, namespace), at)
        if (event.rename) renamed.raise(keyOf(event, path), at)
      }
    },
  }
}

const keyOf = ({ registry }: RegistryEvent, path: string): string => `${registry} ${path}`

/** The newest time of each key. */
const createNewest = (): { of: (keys: readonly string[]) => Micros; raise: (key: string, at: Micros) => void } => {
  const newest = new Map<string, Micros>()
  return {
    of: (keys) => keys.reduce((at, key) => Math.max(at, newest.get(key) ?? -Infinity), -Infinity),
    raise: (key, at) => {
      newest.set(key, Math.max(newest.get(key) ?? -Infinity, at))
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
  const paths = [...scopes].flatMap(([scope, event]) =>
    pathsOf(event).flatMap((path) => namespacesOf(path).map((one) => ({ scope, registry: event.registry, path: one }))),
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

/** The repository of an event, or the two paths of a rename. */
const pathsOf = ({ repository, rename }: RegistryEvent): string[] => (rename ? [rename.from, rename.to] : [repository])

/** No name sorts after this character. */
const LAST = '\u{10ffff}'

/** A rename moves its path, and all that the path contains: `a` and `a/b`, but not `a-b`. */
const rangesOf = (event: RegistryEvent): NameRange[] => {
  const { registry, rename } = event
  return pathsOf(event).flatMap((path) => [
    { registry, first: path, last: path },
    ...(rename ? [{ registry, first: `${path}/`, last: `${path}/${LAST}` }] : []),
  ])
}

/** A path, and the namespaces that contain it. */
const namespacesOf = (path: string): string[] => {
  const parts = path.split('/')
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'))
}
