import { sql, type RawBuilder } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { EventId, RegistryEvent } from '../../events/registry-event.js'
import { arrayText } from '../../storage/sql/array-text.js'
import type { HotStatement, Run } from '../../storage/sql/database.js'
import { deleteSome } from '../../storage/sql/batched.js'
import { epochMicrosText } from '../../storage/sql/moments.js'
import { newestTimesValues, selectNewestTimes } from './newest-times.js'

/** What is known of a clock that was ahead. */
export type Clock = {
  /** The newest time for state of an event whose own time was not trusted. */
  floor: Micros
  /** The newest own time of an event that was made the last of its repository. An event up to this time may be its repeat. */
  aheadUntil: Micros
}

export const NEVER_AHEAD: Clock = { floor: -Infinity, aheadUntil: -Infinity }

export const later = (a = NEVER_AHEAD, b = NEVER_AHEAD): Clock => ({
  floor: Math.max(a.floor, b.floor),
  aheadUntil: Math.max(a.aheadUntil, b.aheadUntil),
})

/**
 * The name of the clock of an event: each process has one clock. The name contains the registry, because a sender of another
 * registry can report any process. If an event does not name its process, the clock is that of the registry, which may have
 * several processes. No process name contains a line break.
 */
export const clockOf = ({ instance, registry }: RegistryEvent): string =>
  instance === undefined ? `registry ${registry}` : `${registry}\n${instance}`

/** What is recorded about events and their clocks. */
export type StoredTimes = {
  /** Times that were decided when the events first arrived. */
  times: Map<EventId, Micros>
  /** Events that were recorded. */
  recorded: Set<EventId>
  clocks: Map<string, Clock>
  /** The newest times in the repositories of events that are ahead, or arrived after the clock of the service was set back. */
  newest: Map<string, Micros>
}

const micros = (column: string): string => `${epochMicrosText(column)}::text`

const READ_STORED: HotStatement = {
  name: 'read_state_times',
  text: `
    select 'time' as what, id::text as name, ${micros('at')} as at, null as ahead_until
    from event_times where id = any($1::uuid[])
    union all
    select 'recorded', id::text, null, null from event_ids where id = any($1::uuid[])
    union all
    select 'clock', name, ${micros('floor_at')}, ${micros('ahead_until')} from event_clocks where name = any($2::text[])
    union all
    select 'newest', scope, ${micros('at')}, null from (${selectNewestTimes((number) => `$${number + 2}`)}) newest`,
}

type StoredRow = { what: 'time' | 'recorded' | 'clock' | 'newest'; name: string; at: string; ahead_until: string }

/** @param bounded the events whose newest times are read */
export const readStoredTimes = async (
  run: Run,
  events: readonly RegistryEvent[],
  bounded: readonly RegistryEvent[],
): Promise<StoredTimes> => {
  const ids = arrayText(events.map(({ id }) => id))
  const instances = new Map(events.map((event) => [clockOf(event), event.instance]))
  const names = arrayText([
    ...new Set([...instances.keys(), ...instances.values()].filter((name) => name !== undefined)),
  ])
  const stored: StoredTimes = { times: new Map(), recorded: new Set(), clocks: new Map(), newest: new Map() }
  const values = [ids, names, ...newestTimesValues(bounded)]
  for (const { what, name, at, ahead_until } of await run<StoredRow>(READ_STORED, values)) {
    if (what === 'time') stored.times.set(name as EventId, Number(at))
    else if (what === 'clock') stored.clocks.set(name, { floor: Number(at), aheadUntil: Number(ahead_until) })
    else if (what === 'newest') stored.newest.set(name, Number(at))
    else stored.recorded.add(name as EventId)
  }
  // Earlier versions stored the clock of a process without its registry.
  for (const [name, instance] of instances) {
    const earlier = instance === undefined ? undefined : stored.clocks.get(instance)
    if (earlier) stored.clocks.set(name, later(stored.clocks.get(name), earlier))
  }
  return stored
}

const CLAIM_TIMES: HotStatement = {
  name: 'claim_state_times',
  text: `
    with clocks as (
      insert into event_clocks as c (name, floor_at, ahead_until)
      select * from unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
      on conflict (name) do update
        set floor_at = greatest(c.floor_at, excluded.floor_at), ahead_until = greatest(c.ahead_until, excluded.ahead_until)
    )
    insert into event_times as t (id, at)
    select * from unnest($4::uuid[], $5::timestamptz[])
    on conflict (id) do update set at = t.at
    returning id::text, ${micros('at')} as at`,
}

/** @returns the times that were decided first: two services that receive one event at the same moment use the same time. */
export const claimTimes = async (
  run: Run,
  decided: Pick<StoredTimes, 'times' | 'clocks'>,
): Promise<Map<EventId, Micros>> => {
  const times = [...decided.times].sort(([a], [b]) => (a < b ? -1 : 1))
  const clocks = [...decided.clocks].sort(([a], [b]) => (a < b ? -1 : 1))
  const rows = await run<{ id: EventId; at: string }>(CLAIM_TIMES, [
    arrayText(clocks.map(([name]) => name)),
    arrayText(clocks.map(([, { floor }]) => isoTime(floor))),
    arrayText(clocks.map(([, { aheadUntil }]) => isoTime(aheadUntil))),
    arrayText(times.map(([id]) => id)),
    arrayText(times.map(([, at]) => isoTime(at))),
  ])
  return new Map(rows.map(({ id, at }) => [id, Number(at)]))
}

/**
 * Steps that delete stored times. Rows of `event_clocks` have times of the service, but live as long as the rows of `event_times`.
 * @param days the days for which a repeated delivery is recognised
 */
export const deleteExpiredTimes = (days: number): RawBuilder<unknown>[] => [
  deleteSome('event_times', sql`seen_on < current_date - ${days}::int`),
  deleteSome('event_clocks', sql`greatest(floor_at, ahead_until) < now() - ${days} * interval '1 day'`),
]
