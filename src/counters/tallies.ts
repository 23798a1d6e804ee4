import { sql } from 'kysely'
import type { EventId } from '../events/registry-event.js'
import type { HotStatement, Sql, Transaction } from '../storage/database.js'

/** Something that happened, by name and UTC day: an event with the aggregation `total`, or a skip. */
export type Tally = { name: string; day: string }

/** An event as the database remembers it: its id, and what it adds one to. */
export type Arrival = { id: EventId; tallies: readonly Tally[] }

export const SKIP_PREFIX = 'skip:'

const RECORD_ONCE: HotStatement = {
  name: 'record_once',
  text: `
    with fresh as (
      insert into event_ids (id) select * from unnest($1::uuid[]) on conflict do nothing returning id
    ), counted as (
      insert into tallies (name, day, value)
      select arrived.name, arrived.day, count(*)
      from unnest($2::uuid[], $3::text[], $4::date[]) as arrived (id, name, day) join fresh using (id)
      group by arrived.name, arrived.day
      order by arrived.name, arrived.day
      on conflict (name, day) do update set value = tallies.value + excluded.value
    )
    select id from fresh`,
}

/**
 * Remembers the events and counts their tallies, in one statement, each event once however often it is delivered.
 * Rows are locked in the order of their keys, so processes that write side by side do not block each other for good.
 * @param arrivals with no id twice.
 * @returns the ids that were new.
 */
export const recordOnce = async (tx: Transaction, arrivals: readonly Arrival[]): Promise<ReadonlySet<EventId>> => {
  const ids = arrivals.map(({ id }) => id).sort()
  const counted = arrivals.flatMap(({ id, tallies }) => tallies.map((tally) => ({ id, ...tally })))
  const rows = await tx.run<{ id: EventId }>(RECORD_ONCE, [
    ids,
    counted.map(({ id }) => id),
    counted.map(({ name }) => name),
    counted.map(({ day }) => day),
  ])
  return new Set(rows.map(({ id }) => id))
}

/** Adds to tallies that belong to no event, such as calls of the API. */
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

/** A span of UTC days, both included; open at the side that is missing. */
export type Days = { from?: string; to?: string }

/** The sum of each tally over its span of days, in one round trip. */
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
