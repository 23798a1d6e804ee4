import { sql } from 'kysely'
import type { RegistryEvent } from '../events/registry-event.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import { eachAlone } from '../storage/each-alone.js'
import type { PreparedAt } from '../storage/sql/database.js'
import { HyperLogLog } from '../storage/sketches/hyperloglog/hyperloglog.js'
import { createRecentMap } from '../runtime/recent-map.js'
import { createAdditions, type CountingDeps } from './additions.js'
import { contributionsOf, type CountedEvent } from './contributions.js'
import {
  firstMembers,
  lockRepositories,
  markStale,
  nameOf,
  readFirstEvents,
  writeFirstEvents,
  isBefore,
  type EventPosition,
} from './first-events.js'
import { parseSketchKey, type SketchKey } from './keys.js'
import type { RepositoryState } from './rules.js'
import { IN_REPOSITORIES, keepUnresolved } from './unresolved-users.js'

const REMEMBERED_REPOSITORIES = 100_000

/**
 * Decides which event is the first known event of its repository.
 *
 * Events arrive in any order, so an older event may displace a first event that was already counted. No member can be removed
 * from a sketch. Therefore the contributions of each first event are also stored in SQL, and after a displacement the affected
 * sketches are rebuilt from them. So counts are the same for every order of arrival (docs/decisions/0003).
 */
export type Repositories = {
  /** Decides first events, and marks the sketches that become stale. To be called before the batch is written. */
  discover: (events: readonly CountedEvent[], preparedAt?: PreparedAt) => Promise<void>
  /** `unknown` if this event is the first known event of its repository. Requires `discover`. */
  stateFor: (event: RegistryEvent) => RepositoryState
  /** Rebuilds stale sketches. First events of new repositories wait while a sketch is rebuilt. */
  rebuildStale: () => Promise<void>
}

export const createRepositories = ({ database, sketches, rules, lifetimes }: CountingDeps): Repositories => {
  // A cached position may be later than the real one, never earlier: an event after it cannot be the first event.
  const firsts = createRecentMap<EventPosition>(REMEMBERED_REPOSITORIES)
  database.losses.onLoss(firsts.clear)

  const mayBeFirst = (event: RegistryEvent): boolean => {
    const first = firsts.get(nameOf(event))
    return !first || isBefore(event, first)
  }

  const decideFirst = async (candidates: CountedEvent[], preparedAt: PreparedAt): Promise<Map<string, EventPosition>> =>
    database.transaction(async (tx) => {
      await lockRepositories(tx)
      const known = await readFirstEvents(tx, candidates)
      const firstNow = candidates.filter(({ event }) => {
        const row = known.get(nameOf(event))
        return !row || isBefore(event, row)
      })
      const displaced = firstNow.flatMap(({ event }) => known.get(nameOf(event)) ?? [])

      await writeFirstEvents(tx, firstNow, rules)
      await markStale(tx, displaced, rules)
      const first = createAdditions(rules, lifetimes)
      for (const counted of firstNow) first.add(contributionsOf(rules, counted).if.unknown, counted.event.at)
      const notFirst = createAdditions(rules, lifetimes)
      for (const row of displaced) notFirst.add(row.ifKnown, row.at)
      const waiting = first.unresolved().map((contribution) => ({ ...contribution, event: IN_REPOSITORIES }))
      await keepUnresolved(tx, [...waiting, ...notFirst.unresolved()])
      await sketches.add(
        first.list().map((addition) => ({ ...addition, replaceable: true })),
        tx,
      )
      await sketches.add(notFirst.list(), tx)

      return new Map<string, EventPosition>([...known, ...firstNow.map(({ event }) => [nameOf(event), event] as const)])
    }, preparedAt)

  const rebuild = async (key: SketchKey): Promise<void> =>
    database.transaction(async (tx) => {
      await lockRepositories(tx)
      let sketch: HyperLogLog | undefined
      for await (const members of firstMembers(tx, key)) {
        if (members.length > 0) sketch ??= new HyperLogLog()
        for (const member of members) sketch?.add(member)
      }
      const aggregation = parseSketchKey(key)?.aggregation ?? 'weekly'
      await sketches.replace(key, sketch, lifetimes[aggregation], tx)
      await sql`delete from stale_sketches where key = ${key}`.execute(tx)
    })

  const rebuildStale = async (): Promise<void> => {
    const { rows } = await sql<{ key: SketchKey }>`select key from stale_sketches order by key`.execute(database.sql)
    // Each rebuild takes the lock separately, so that new repositories wait for one sketch and not for all.
    await eachAlone(
      rows.map(({ key }) => key),
      rebuild,
      isStorageUnavailable,
    )
  }

  return {
    discover: async (events, preparedAt = database.losses.count()) => {
      const candidates = earliestPerRepository(events.filter(({ event }) => makesKnown(event) && mayBeFirst(event)))
      if (candidates.length === 0) return
      const decided = await decideFirst(candidates, preparedAt)
      if (database.losses.count() === preparedAt) for (const [name, { at, id }] of decided) firsts.set(name, { at, id })
    },
    stateFor: (event) => (firsts.get(nameOf(event))?.id === event.id ? 'unknown' : 'known'),
    rebuildStale,
  }
}

/** A mount is never a first event: it is part of a push, which may create the repository. */
const makesKnown = ({ action }: RegistryEvent): boolean => action !== 'mount'

const earliestPerRepository = (events: readonly CountedEvent[]): CountedEvent[] => {
  const earliest = new Map<string, CountedEvent>()
  for (const counted of events) {
    const name = nameOf(counted.event)
    const before = earliest.get(name)
    if (!before || isBefore(counted.event, before.event)) earliest.set(name, counted)
  }
  return [...earliest.values()]
}
