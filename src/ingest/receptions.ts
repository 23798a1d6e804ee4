import { sql } from 'kysely'
import { addTallies } from '../counters/tallies.js'
import { isoTime, microsOf, utcDay, type Micros } from '../events/calendar.js'
import type { RegistryEvent } from '../events/registry-event.js'
import { MOST_AHEAD_SECONDS } from '../runtime/clock-ahead.js'
import { LONGEST_SILENCE_DAYS } from '../inventory/questions/silent-registries.js'
import type { Database } from '../storage/sql/database.js'

/** Tallies of requests that were refused are named with this prefix and the HTTP status. */
export const REFUSED_PREFIX = 'refused:'

/** What was last heard of a registry. */
export type Reception = { registry: string; lastEventAt: Date; lastReceivedAt: Date; events: number }

/**
 * Keeps in mind what was heard of each registry and which requests were refused, and writes it down now and then: it is for
 * people who look after the service, so losing the last seconds in a crash does no harm.
 */
export type Receptions = {
  heard: (events: readonly RegistryEvent[]) => void
  refused: (status: number) => void
  /** Writes down what is new. */
  flush: () => Promise<void>
}

/** Names of registries come from clients; beyond this many between two writes, the rest share one line. */
const REGISTRIES_AT_ONCE = 1_000
const OTHERS = 'other'

export const createReceptions = (database: Database, now: () => Date): Receptions => {
  let heard: Heard = new Map()
  let refused = new Map<string, number>()

  const add = (registry: string, news: News): void => {
    const name = heard.has(registry) || heard.size < REGISTRIES_AT_ONCE ? registry : OTHERS
    const before = heard.get(name)
    heard.set(name, {
      firstEventAt: Math.min(before?.firstEventAt ?? Infinity, news.firstEventAt),
      lastEventAt: Math.max(before?.lastEventAt ?? 0, news.lastEventAt),
      lastReceivedAt: Math.max(before?.lastReceivedAt ?? 0, news.lastReceivedAt),
      events: (before?.events ?? 0) + news.events,
    })
  }
  const addRefused = (name: string, times: number): void => {
    refused.set(name, (refused.get(name) ?? 0) + times)
  }

  return {
    heard: (events) => {
      const lastReceivedAt = microsOf(now())
      for (const { registry, at } of events) {
        // The clock of a registry may be ahead; no event is later than its arrival.
        const eventAt = Math.min(at, lastReceivedAt)
        add(registry, { firstEventAt: eventAt, lastEventAt: eventAt, lastReceivedAt, events: 1 })
      }
    },
    refused: (status) => {
      addRefused(`${REFUSED_PREFIX}${status}`, 1)
    },
    flush: async () => {
      if (heard.size === 0 && refused.size === 0) return
      const [writing, counted] = [heard, refused]
      heard = new Map()
      refused = new Map()
      try {
        await write(database, writing, counted, utcDay(microsOf(now())))
      } catch (error) {
        for (const [registry, news] of writing) add(registry, news)
        for (const [name, times] of counted) addRefused(name, times)
        throw error
      }
    },
  }
}

type News = { firstEventAt: Micros; lastEventAt: Micros; lastReceivedAt: Micros; events: number }
type Heard = Map<string, News>

/** Whether the stored time is of a clock that was ahead. */
const IS_AHEAD = sql`
  receptions.last_received_at > excluded.last_received_at + ${sql.lit(MOST_AHEAD_SECONDS)} * interval '1 second'`

const WAS_SILENT = sql`not ${IS_AHEAD}
  and news.first_event_at > receptions.last_event_at + ${sql.lit(LONGEST_SILENCE_DAYS)} * interval '1 day'`

const write = async (database: Database, heard: Heard, refused: Map<string, number>, day: string): Promise<void> =>
  database.transaction(async (tx) => {
    await addTallies(
      tx,
      [...refused].map(([name, value]) => ({ name, day, value })),
    )
    const news = [...heard.values()]
    await sql`
      with news as materialized (
        select * from unnest(
          ${[...heard.keys()]}::text[],
          ${news.map(({ firstEventAt }) => isoTime(firstEventAt))}::timestamptz[],
          ${news.map(({ lastEventAt }) => isoTime(lastEventAt))}::timestamptz[],
          ${news.map(({ lastReceivedAt }) => isoTime(lastReceivedAt))}::timestamptz[],
          ${news.map(({ events }) => events)}::bigint[]
        ) as news (registry, first_event_at, last_event_at, last_received_at, events)
      )
      insert into receptions (registry, last_event_at, last_received_at, events)
      select registry, last_event_at, last_received_at, events from news
      order by registry
      on conflict (registry) do update
        set last_event_at = case when ${IS_AHEAD} then excluded.last_event_at
              else greatest(receptions.last_event_at, excluded.last_event_at) end,
            last_received_at = case when ${IS_AHEAD} then excluded.last_received_at
              else greatest(receptions.last_received_at, excluded.last_received_at) end,
            events = receptions.events + excluded.events,
            (silent_from, silent_to) = (
              select case when ${WAS_SILENT} then receptions.last_event_at else receptions.silent_from end,
                case when ${WAS_SILENT} then news.first_event_at else receptions.silent_to end
              from news where news.registry = receptions.registry
            )
    `.execute(tx)
  })

/**
 * Gives registries the receptions that were recorded under one of their aliases.
 * @param aliases each with the name of its registry.
 */
export const mergeReceptions = async (database: Database, aliases: ReadonlyMap<string, string>): Promise<void> => {
  await sql`
    with moved as (
      delete from receptions r using unnest(${[...aliases.keys()]}::text[], ${[...aliases.values()]}::text[])
        as aliases (alias, name)
      where r.registry = aliases.alias
      returning aliases.name, r.last_event_at, r.last_received_at, r.events, r.silent_from, r.silent_to
    )
    insert into receptions as stored (registry, last_event_at, last_received_at, events, silent_from, silent_to)
    select name, max(last_event_at), max(last_received_at), sum(events),
      (array_agg(silent_from order by silent_to desc nulls last))[1], max(silent_to)
    from moved group by name order by name
    on conflict (registry) do update
      set last_event_at = greatest(stored.last_event_at, excluded.last_event_at),
          last_received_at = greatest(stored.last_received_at, excluded.last_received_at),
          events = stored.events + excluded.events,
          silent_from = case when excluded.silent_to < stored.silent_to then stored.silent_from
            else coalesce(excluded.silent_from, stored.silent_from) end,
          silent_to = greatest(stored.silent_to, excluded.silent_to)
  `.execute(database.sql)
}

/** The registries heard of, the one heard of last first. */
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
