import { sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import { isoTime, type Micros } from '../events/calendar.js'
import type { EventId, RegistryEvent } from '../events/registry-event.js'
import type { Database, Sql } from '../storage/database.js'
import { HyperLogLog } from '../storage/hyperloglog/hyperloglog.js'
import type { SketchStore } from '../storage/sketch-store.js'
import {
  contributionsOf,
  createAdditions,
  sketchAggregations,
  type Contribution,
  type CountedEvent,
} from './additions.js'
import { parseSketchKey, sketchKey, type Lifetimes } from './keys.js'
import type { RepositoryState, Rules } from './rules.js'

/** An event's place in a history: earlier by time, then by id. */
type Place = { at: Micros; id: EventId }

const REMEMBERED_REPOSITORIES = 100_000
/** The advisory lock under which first events are decided and their sketches rebuilt. Any number, never changed. */
const LOCK = 7_261_401

/**
 * Which event was the first known of its repository.
 *
 * Events arrive in any order, so an older one may displace the first that was already counted. A sketch cannot forget a
 * member; therefore what a first event counted for is also kept in SQL, and on displacement the sketches concerned are made
 * anew from there. That keeps counts the same for every order of arrival (docs/decisions/0003).
 */
export type Repositories = {
  /** Settles who was first, counting and correcting what depends on it. To be called before the batch is written. */
  discover: (events: readonly CountedEvent[]) => Promise<void>
  /** Whether this event is the first known of its repository; after `discover`. */
  stateFor: (event: RegistryEvent) => RepositoryState
  /** Makes stale sketches anew: after a displacement, and after a crash in the middle of one. */
  rebuildStale: () => Promise<void>
}

type Needs = { database: Database; sketches: SketchStore; rules: Rules; lifetimes: Lifetimes }

export const createRepositories = ({ database, sketches, rules, lifetimes }: Needs): Repositories => {
  // What is remembered may be later than the truth, never earlier: an event after it is surely not the first.
  const firsts = new LRUCache<string, Place>({ max: REMEMBERED_REPOSITORIES })

  const mayBeFirst = (event: RegistryEvent): boolean => {
    const first = firsts.get(nameOf(event))
    return !first || isBefore(event, first)
  }

  const settle = async (candidates: CountedEvent[]): Promise<{ displaced: boolean; places: Map<string, Place> }> =>
    database.transaction(async (tx) => {
      await lock(tx)
      const known = await readRepositories(tx, candidates)
      const firstNow = candidates.filter(({ event }) => {
        const row = known.get(nameOf(event))
        return !row || isBefore(event, row)
      })
      const displaced = firstNow.flatMap(({ event }) => known.get(nameOf(event)) ?? [])

      await writeRepositories(tx, firstNow, rules)
      await markStale(tx, displaced, rules)
      const additions = createAdditions(rules, lifetimes)
      for (const counted of firstNow) additions.add(contributionsOf(rules, counted).if.unknown, counted.event.at)
      for (const row of displaced) additions.add(row.ifKnown, row.at)
      const replaceable = additions.list().map((addition) => ({ ...addition, replaceable: true }))
      await sketches.add(replaceable, tx)

      const places = new Map<string, Place>([...known, ...firstNow.map(({ event }) => [nameOf(event), event] as const)])
      return { displaced: displaced.length > 0, places }
    })

  const rebuildStale = async (): Promise<void> =>
    database.transaction(async (tx) => {
      await lock(tx)
      const { rows } = await sql<{ key: string }>`select key from stale_sketches`.execute(tx)
      for (const { key } of rows) {
        const members = await firstMembers(tx, key)
        const sketch = new HyperLogLog()
        for (const member of members) sketch.add(member)
        const aggregation = parseSketchKey(key)?.aggregation ?? 'weekly'
        await sketches.replace(key, members.length > 0 ? sketch : undefined, lifetimes[aggregation], tx)
      }
      await sql`delete from stale_sketches where key = any(${rows.map(({ key }) => key)}::text[])`.execute(tx)
    })

  return {
    discover: async (events) => {
      const candidates = earliestPerRepository(events.filter(({ event }) => mayBeFirst(event)))
      if (candidates.length === 0) return
      const { displaced, places } = await settle(candidates)
      for (const [name, { at, id }] of places) firsts.set(name, { at, id })
      if (displaced) await rebuildStale()
    },
    stateFor: (event) => (firsts.get(nameOf(event))?.id === event.id ? 'unknown' : 'known'),
    rebuildStale,
  }
}

const nameOf = ({ registry, repository }: Pick<RegistryEvent, 'registry' | 'repository'>): string =>
  `${registry}/${repository}`

const isBefore = (a: Place, b: Place): boolean => a.at < b.at || (a.at === b.at && a.id < b.id)

const earliestPerRepository = (events: readonly CountedEvent[]): CountedEvent[] => {
  const earliest = new Map<string, CountedEvent>()
  for (const counted of events) {
    const name = nameOf(counted.event)
    const before = earliest.get(name)
    if (!before || isBefore(counted.event, before.event)) earliest.set(name, counted)
  }
  return [...earliest.values()]
}

const lock = async (tx: Sql): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${LOCK})`.execute(tx)
}

type Row = Place & { ifFirst: Contribution[]; ifKnown: Contribution[] }

const readRepositories = async (tx: Sql, candidates: CountedEvent[]): Promise<Map<string, Row>> => {
  const { rows } = await sql<{
    registry: string
    name: string
    at: string
    id: EventId
    if_first: Contribution[]
    if_known: Contribution[]
  }>`
    select registry, name, (extract(epoch from first_at) * 1000000)::bigint as at, first_event as id, if_first, if_known
    from repositories where (registry, name) in (
      select * from unnest(
        ${candidates.map(({ event }) => event.registry)}::text[],
        ${candidates.map(({ event }) => event.repository)}::text[]
      )
    )
  `.execute(tx)
  return new Map(
    rows.map(({ registry, name, at, id, if_first, if_known }) => [
      `${registry}/${name}`,
      { at: Number(at), id, ifFirst: if_first, ifKnown: if_known },
    ]),
  )
}

const writeRepositories = async (tx: Sql, firsts: CountedEvent[], rules: Rules): Promise<void> => {
  if (firsts.length === 0) return
  const contributions = firsts.map((counted) => contributionsOf(rules, counted).if)
  await sql`
    insert into repositories (registry, name, first_at, first_event, if_first, if_known)
    select * from unnest(
      ${firsts.map(({ event }) => event.registry)}::text[],
      ${firsts.map(({ event }) => event.repository)}::text[],
      ${firsts.map(({ event }) => isoTime(event.at))}::timestamptz[],
      ${firsts.map(({ event }) => event.id)}::uuid[],
      ${contributions.map(({ unknown }) => JSON.stringify(unknown))}::jsonb[],
      ${contributions.map(({ known }) => JSON.stringify(known))}::jsonb[]
    )
    on conflict (registry, name) do update
      set first_at = excluded.first_at, first_event = excluded.first_event,
          if_first = excluded.if_first, if_known = excluded.if_known
  `.execute(tx)
}

const markStale = async (tx: Sql, displaced: Row[], rules: Rules): Promise<void> => {
  const keys = displaced.flatMap(({ at, ifFirst }) =>
    ifFirst.flatMap(({ event }) =>
      sketchAggregations(rules, event).map((aggregation) => sketchKey(event, aggregation, at)),
    ),
  )
  if (keys.length === 0) return
  await sql`insert into stale_sketches select distinct unnest(${keys}::text[]) on conflict do nothing`.execute(tx)
}

/** The members that first events contributed to a sketch. */
const firstMembers = async (tx: Sql, key: string): Promise<string[]> => {
  const parsed = parseSketchKey(key)
  if (!parsed) return []
  const { rows } = await sql<{ member: string }>`
    select distinct contribution ->> 'member' as member
    from repositories, jsonb_array_elements(if_first) as contribution
    where contribution ->> 'event' = ${parsed.event}
      and first_at >= ${isoTime(parsed.start)}::timestamptz and first_at < ${isoTime(parsed.end)}::timestamptz
  `.execute(tx)
  return rows.map(({ member }) => member)
}
