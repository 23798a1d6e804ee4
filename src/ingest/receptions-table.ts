import { sql, type RawBuilder } from 'kysely'
import { addTallies } from '../counters/tallies.js'
import { isoTime, MICROS_PER_DAY, microsOf, utcDay, type Micros } from '../events/calendar.js'
import { MOST_AHEAD_SECONDS } from '../runtime/clock-ahead.js'
import { inSteps, ROWS_AT_ONCE } from '../storage/sql/batched.js'
import type { Database } from '../storage/sql/database.js'
import { MOST_DAYS, type Heard } from './heard-news.js'

/** When the last event of a registry happened and arrived, and how many events arrived. */
export type Reception = { registry: string; lastEventAt: Date; lastReceivedAt: Date; events: number }

/** Days in PostgreSQL's format of a multirange, as ranges that do not include their upper bound. */
const multirangeOf = (days: ReadonlySet<number>): string => `{${[...days].map((day) => `[${day},${day + 1})`).join()}}`

/** Whether the stored time comes from a clock that was ahead. */
const IS_AHEAD = sql`
  receptions.last_received_at > excluded.last_received_at + ${sql.lit(MOST_AHEAD_SECONDS)} * interval '1 second'`

const timeOrNull = (at: Micros | undefined): string | null => (at === undefined ? null : isoTime(at))

/** Adds the new receptions, and the numbers of refused requests, to the stored ones. */
export const writeReceptions = async (
  database: Database,
  { heard, refused, now }: { heard: Heard; refused: Map<string, number>; now: Micros },
): Promise<void> =>
  database.transaction(async (tx) => {
    const day = utcDay(now)
    await addTallies(
      tx,
      [...refused].map(([name, value]) => ({ name, day, value })),
    )
    const news = [...heard.values()]
    const today = Math.floor(now / MICROS_PER_DAY)
    // Days from a clock that was ahead are removed.
    const kept = sql`int4multirange(int4range(${today - MOST_DAYS}::int, ${today + 1}::int))`
    await sql`
      insert into receptions
        (registry, last_event_at, last_received_at, last_pull_at, late_at, events, heard_on, pulls_on)
      select registry, last_event_at, last_received_at, last_pull_at, late_at, events, heard_on * ${kept}, pulls_on * ${kept}
      from unnest(
        ${[...heard.keys()]}::text[],
        ${news.map(({ lastEventAt }) => isoTime(lastEventAt))}::timestamptz[],
        ${news.map(({ lastReceivedAt }) => isoTime(lastReceivedAt))}::timestamptz[],
        ${news.map(({ lastPullAt }) => timeOrNull(lastPullAt))}::timestamptz[],
        ${news.map(({ lateAt }) => timeOrNull(lateAt))}::timestamptz[],
        ${news.map(({ events }) => events)}::bigint[],
        ${news.map(({ days }) => multirangeOf(days))}::int4multirange[],
        ${news.map(({ pullDays }) => multirangeOf(pullDays))}::int4multirange[]
      ) as news (registry, last_event_at, last_received_at, last_pull_at, late_at, events, heard_on, pulls_on)
      order by registry
      on conflict (registry) do update
        set last_event_at = case when ${IS_AHEAD} then excluded.last_event_at
              else greatest(receptions.last_event_at, excluded.last_event_at) end,
            last_received_at = case when ${IS_AHEAD} then excluded.last_received_at
              else greatest(receptions.last_received_at, excluded.last_received_at) end,
            last_pull_at = case when ${IS_AHEAD} then excluded.last_pull_at
              else greatest(receptions.last_pull_at, excluded.last_pull_at) end,
            late_at = case when ${IS_AHEAD} then excluded.late_at else greatest(receptions.late_at, excluded.late_at) end,
            events = receptions.events + excluded.events,
            heard_on = (receptions.heard_on + excluded.heard_on) * ${kept},
            pulls_on = (receptions.pulls_on + excluded.pulls_on) * ${kept}
    `.execute(tx)
  })

/** All days of the rows of one registry. PostgreSQL 14 can aggregate ranges, but not multiranges. */
const allDays = (column: 'heard_on' | 'pulls_on'): RawBuilder<unknown> => sql`coalesce((
        select range_agg(days) from moved m cross join lateral unnest(m.${sql.ref(column)}) as days where m.name = moved.name
      ), '{}')`

/**
 * Moves receptions that were recorded under an alias to the registry of the alias.
 * @param aliases each alias with the name of its registry
 */
export const mergeReceptions = async (database: Database, aliases: ReadonlyMap<string, string>): Promise<void> => {
  await sql`
    with moved as (
      delete from receptions r using unnest(${[...aliases.keys()]}::text[], ${[...aliases.values()]}::text[])
        as aliases (alias, name)
      where r.registry = aliases.alias
      returning aliases.name, r.last_event_at, r.last_received_at, r.last_pull_at, r.late_at, r.events, r.heard_on, r.pulls_on
    )
    insert into receptions as stored
      (registry, last_event_at, last_received_at, last_pull_at, late_at, events, heard_on, pulls_on)
    select name, max(last_event_at), max(last_received_at), max(last_pull_at), max(late_at), sum(events),
      ${allDays('heard_on')}, ${allDays('pulls_on')}
    from moved group by name order by name
    on conflict (registry) do update
      set last_event_at = greatest(stored.last_event_at, excluded.last_event_at),
          last_received_at = greatest(stored.last_received_at, excluded.last_received_at),
          last_pull_at = greatest(stored.last_pull_at, excluded.last_pull_at),
          late_at = greatest(stored.late_at, excluded.late_at),
          events = stored.events + excluded.events,
          heard_on = stored.heard_on + excluded.heard_on,
          pulls_on = stored.pulls_on + excluded.pulls_on
  `.execute(database.sql)
}

type Expiry = {
  /** The reception of a registry without events for so many days is deleted. */
  days: number
  /** The number of newest receptions that are not deleted. It is limited, because clients choose the names of registries. */
  most: number
}

/**
 * Deletes old receptions of registries without repositories in the inventory. For the other registries, the times without events
 * must stay known.
 * @returns the number of deleted rows
 */
export const expireReceptions = async ({ sql: db }: Database, { days, most }: Expiry, now: Date): Promise<number> =>
  inSteps(
    db,
    sql`
      delete from receptions where registry in (
        select registry from (
          select registry, last_received_at, row_number() over (order by last_received_at desc, registry) as number from receptions
        ) r
        where (last_received_at < ${isoTime(microsOf(now) - days * MICROS_PER_DAY)}::timestamptz or number > ${most})
          and not exists (select from inventory.repositories i where i.registry = r.registry)
        limit ${ROWS_AT_ONCE}
      )`,
  )

/** The receptions of registries, the most recent first. */
export const readReceptions = async (database: Database, limit: number): Promise<Reception[]> => {
  const { rows } = await sql<{ registry: string; last_event_at: Date; last_received_at: Date; events: string }>`
    select registry, last_event_at, last_received_at, events from receptions
    order by last_received_at desc, registry limit ${limit}
  `.execute(database.sql)
  return rows.map((row) => ({
    registry: row.registry,
    lastEventAt: row.last_event_at,
    lastReceivedAt: row.last_received_at,
    events: Number(row.events),
  }))
}
