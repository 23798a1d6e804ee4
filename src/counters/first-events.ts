import { sql } from 'kysely'
import { isoTime, type Micros } from '../events/calendar.js'
import type { EventId, RegistryEvent } from '../events/registry-event.js'
import type { Sql } from '../storage/sql/database.js'
import { epochMicros } from '../storage/sql/moments.js'
import { sketchAggregations } from './additions.js'
import { contributionsOf, UNRESOLVED, type Contribution, type CountedEvent } from './contributions.js'
import { parseSketchKey, sketchKey } from './keys.js'
import type { Rules } from './rules.js'

/** The position of an event in the history of its repository, ordered by time, then by id. */
export type EventPosition = { at: Micros; id: EventId }
export const isBefore = (a: EventPosition, b: EventPosition): boolean => a.at < b.at || (a.at === b.at && a.id < b.id)

/** Key of the advisory lock for deciding first events and rebuilding their sketches. Arbitrary, but it must never change. */
const LOCK = 7_261_401

export const nameOf = ({ registry, repository }: Pick<RegistryEvent, 'registry' | 'repository'>): string =>
  `${registry}/${repository}`

/** Until the transaction ends, no other transaction decides first events or rebuilds their sketches. */
export const lockRepositories = async (tx: Sql): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${LOCK})`.execute(tx)
}

/** The first event of a repository, as stored in the table `repositories`. */
export type FirstEvent = EventPosition & { ifFirst: Contribution[]; ifKnown: Contribution[] }

/** The known first events of the candidates' repositories. */
export const readFirstEvents = async (tx: Sql, candidates: CountedEvent[]): Promise<Map<string, FirstEvent>> => {
  const { rows } = await sql<{
    registry: string
    name: string
    at: string
    id: EventId
    if_first: Contribution[]
    if_known: Contribution[]
  }>`
    select registry, name, ${epochMicros(sql`first_at`)} as at, first_event as id, if_first, if_known
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

/** Stores events as the first events of their repositories. */
export const writeFirstEvents = async (tx: Sql, firsts: CountedEvent[], rules: Rules): Promise<void> => {
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

/** Marks the sketches that first events contributed to as out of date. */
export const markStale = async (tx: Sql, firsts: Pick<FirstEvent, 'at' | 'ifFirst'>[], rules: Rules): Promise<void> => {
  const keys = firsts.flatMap(({ at, ifFirst }) =>
    ifFirst.flatMap(({ event }) =>
      sketchAggregations(rules, event).map((aggregation) => sketchKey(event, aggregation, at)),
    ),
  )
  if (keys.length === 0) return
  await sql`insert into stale_sketches select distinct unnest(${keys}::text[]) on conflict do nothing`.execute(tx)
}

/** The largest number of repositories that one statement reads. */
export const REPOSITORIES_AT_ONCE = 10_000

type RepositoryCursor = { at: string; registry: string; name: string }

/**
 * The members that first events contributed to a sketch, in portions. No statement takes long, however many repositories a month has.
 * Requires the lock of `lockRepositories` in the same transaction.
 */
export async function* firstMembers(tx: Sql, key: string): AsyncGenerator<string[]> {
  const parsed = parseSketchKey(key)
  if (!parsed) return
  let after: RepositoryCursor | undefined = { at: isoTime(parsed.start), registry: '', name: '' }
  while (after) {
    const { members, last } = await readMembers(tx, parsed.event, after, isoTime(parsed.end))
    yield members
    after = last
  }
}

/** @returns a portion of members; `last` is undefined if no repositories follow */
const readMembers = async (
  tx: Sql,
  event: string,
  after: RepositoryCursor,
  end: string,
): Promise<{ members: string[]; last: RepositoryCursor | undefined }> => {
  const { rows } = await sql<{ members: string[]; last: RepositoryCursor | null }>`
    with portion as (
      select first_at, registry, name, if_first from repositories
      where first_at >= ${after.at}::timestamptz and first_at < ${end}::timestamptz
        and (first_at, registry, name) > (${after.at}::timestamptz, ${after.registry}, ${after.name})
      order by first_at, registry, name limit ${REPOSITORIES_AT_ONCE}
    )
    select array(
        select distinct contribution ->> 'member' from portion, jsonb_array_elements(if_first) as contribution
        where contribution ->> 'event' = ${event} and contribution ->> 'member' not like ${`${UNRESOLVED}%`}
      ) as members,
      (
        select json_build_object('at', first_at::text, 'registry', registry, 'name', name)
        from portion order by first_at desc, registry desc, name desc limit 1
      ) as last
  `.execute(tx)
  return { members: rows[0]?.members ?? [], last: rows[0]?.last ?? undefined }
}
