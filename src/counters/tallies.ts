import { sql, type RawBuilder } from 'kysely'
import { microsOf, utcDay } from '../events/calendar.js'
import type { OutcomeReason } from '../events/outcome-reason.js'
import type { EventId } from '../events/registry-event.js'
import { deleteSome } from '../storage/sql/batched.js'
import type { Sql } from '../storage/sql/database.js'
import type { FilledPart, FinalSelect, StatementPart } from '../storage/sql/statement-parts.js'

/** The name and UTC day of a tally. It counts events with the aggregation `total`, skips, or unreadable fields. */
export type Tally = { name: string; day: string }

/** The id of an event, by which the database recognises it, and the tallies that the event increases by one. */
export type Arrival = { id: EventId; tallies: readonly Tally[] }

/** The prefix in the names of tallies that count items by their reason. The reason follows. */
export const REASON_PREFIX = 'skip:'
/** The prefix in the names of tallies that count unreadable side fields. The field follows. */
export const UNREADABLE_FIELD_PREFIX = 'unreadable_field:'
/** Events that would count for a user if the registry had sent the user. Their totals count. */
export const WITHOUT_USER = 'events:without_user'
/** Requests that joined an invocation, and the late ones among them: after more than half of the join window. */
export const JOINED = 'pulls:joined'
export const JOINED_LATE = 'pulls:joined_late'

/** Counts an item under its reason: no other code writes such a tally. */
export const reasonTally = (reason: OutcomeReason, now: Date): Tally => ({
  name: REASON_PREFIX + reason,
  day: utcDay(microsOf(now)),
})

/**
 * The part of a batch's statement that stores event ids and increases tallies, once for each event, however often the event is
 * delivered. `fresh` has the ids of new events.
 */
export const TALLIES: StatementPart = {
  name: 'tallies',
  provides: ['fresh', 'counted'],
  requires: [],
  parameters: { arrived_ids: 1 },
  text: (p) => `
    fresh as (
      insert into event_ids (id) select * from unnest(${p(1)}::uuid[]) on conflict do nothing returning id
    ), counted as (
      insert into tallies (name, day, value)
      select added.name, added.day, count(*)
      from unnest(${p(1)}::uuid[], ${p(2)}::int[]) as arrived (id, kind)
      join fresh using (id)
      join unnest(${p(3)}::int[], ${p(4)}::text[], ${p(5)}::date[]) as added (kind, name, day) using (kind)
      group by added.name, added.day
      order by added.name, added.day
      on conflict (name, day) do update set value = tallies.value + excluded.value
    )`,
}

/**
 * The part with the rows of arrivals. Rows are locked in the order of their keys, so that concurrent processes do not deadlock.
 * @param arrivals must not contain an id twice
 */
export const fillTallies = (arrivals: readonly Arrival[]): FilledPart => {
  const sorted = [...arrivals].sort((a, b) => (a.id < b.id ? -1 : 1))
  const { kinds, added } = kindsOf(sorted)
  return {
    part: TALLIES,
    values: [
      sorted.map(({ id }) => id),
      kinds,
      added.map(({ kind }) => kind),
      added.map(({ name }) => name),
      added.map(({ day }) => day),
    ],
  }
}

/** Selects the ids that were already known. */
export const KNOWN_BEFORE: FinalSelect = {
  requires: ['arrived_ids', 'fresh'],
  text: (p) => `
    select arrived.id from unnest(${p('arrived_ids')}::uuid[]) as arrived (id) left join fresh using (id) where fresh.id is null`,
}

/**
 * The kind of each arrival, and the tallies of each kind. Events of one kind increase the same tallies. There are few kinds,
 * so the statement contains the tallies of each kind once.
 */
const kindsOf = (arrivals: readonly Arrival[]): { kinds: number[]; added: (Tally & { kind: number })[] } => {
  const known = new Map<string, number>()
  const added: (Tally & { kind: number })[] = []
  const kinds = arrivals.map(({ tallies }) => {
    const signature = tallies.map(({ name, day }) => `${name} ${day}`).join(',')
    const kind = known.get(signature) ?? known.size
    if (kind === known.size) {
      known.set(signature, kind)
      added.push(...tallies.map((tally) => ({ kind, ...tally })))
    }
    return kind
  })
  return { kinds, added }
}

/** Increases tallies that belong to no registry event, such as calls of the API. */
export const addTallies = async (tx: Sql, tallies: readonly (Tally & { value: number })[]): Promise<void> => {
  if (tallies.length === 0) return
  await sql`
    insert into tallies (name, day, value)
    select name, day, sum(value) from unnest(
      ${tallies.map(({ name }) => name)}::text[],
      ${tallies.map(({ day }) => day)}::date[],
      ${tallies.map(({ value }) => value)}::bigint[]
    ) as arriving (name, day, value)
    group by name, day order by name, day
    on conflict (name, day) do update set value = tallies.value + excluded.value
  `.execute(tx)
}

/** A range of UTC days, both ends included. A missing end means no limit. */
export type Days = { from?: string; to?: string }

/** The sum of each tally over its range of days, in one round trip. */
export const sumTallies = async (db: Sql, wanted: readonly { name: string; days: Days }[]): Promise<number[]> => {
  const { rows } = await sql<{ value: string }>`
    select coalesce(sum(tallies.value), 0) as value
    from unnest(
      ${wanted.map(({ name }) => name)}::text[],
      ${wanted.map(({ days }) => days.from ?? '-infinity')}::date[],
      ${wanted.map(({ days }) => days.to ?? 'infinity')}::date[]
    ) with ordinality as wanted (name, first_day, last_day, position)
    left join tallies on tallies.name = wanted.name and tallies.day between first_day and last_day
    group by position order by position
  `.execute(db)
  return rows.map(({ value }) => Number(value))
}

/**
 * The sums of all tallies whose names begin with a prefix, by the rest of their names, the largest first.
 * @param since the first UTC day
 */
export const sumTalliesByPrefix = async (db: Sql, prefix: string, since: string): Promise<Record<string, number>> => {
  const { rows } = await sql<{ name: string; value: string }>`
    select name, sum(value) as value from tallies
    where starts_with(name, ${prefix}) and day >= ${since}::date group by name order by 2 desc
  `.execute(db)
  return Object.fromEntries(rows.map(({ name, value }) => [name.slice(prefix.length), Number(value)]))
}

/**
 * A step that deletes the ids of events.
 * @param days the days for which a repeated delivery is recognised
 */
export const deleteExpiredIds = (days: number): RawBuilder<unknown> =>
  deleteSome('event_ids', sql`seen_on < current_date - ${days}::int`)
