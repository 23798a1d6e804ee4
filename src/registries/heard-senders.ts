import { sql } from 'kysely'
import type { ReportedBy } from '../events/reported-item.js'
import type { Database } from '../storage/sql/database.js'

/** A process of one registry reported a host of another. */
export type Conflict = { registry: string; other: string; host: string }

/**
 * Collects in memory the times of senders and their conflicts, and stores them from time to time. Only operators read this data, so the
 * last seconds before a crash may be lost.
 */
export type HeardSenders = {
  heard: (sender: ReportedBy) => void
  inConflict: (conflict: Conflict) => void
  flush: () => Promise<void>
}

/** The largest number of conflicts in memory, and in the table. Further conflicts are not recorded. */
export const MOST_CONFLICTS = 1_000
/** The largest number of senders in memory. */
const MOST_SENDERS = 20_000
const WRITTEN_EVERY_SECONDS = 60

export const createHeardSenders = (database: Database, now: () => Date): HeardSenders => {
  let hosts: Times = new Map()
  let instances: Times = new Map()
  let conflicts = new Map<string, CountedConflict>()

  const add = (times: Times, name: string | undefined, at: Date): void => {
    if (name !== undefined && (times.has(name) || times.size < MOST_SENDERS)) times.set(name, at)
  }
  const addConflict = (conflict: CountedConflict): void => {
    const { registry, other, host, events, first, last } = conflict
    const key = JSON.stringify([registry, other, host])
    const known = conflicts.get(key)
    if (!known) {
      if (conflicts.size < MOST_CONFLICTS) conflicts.set(key, conflict)
      return
    }
    known.events += events
    if (first < known.first) known.first = first
    if (last > known.last) known.last = last
  }

  return {
    heard: ({ host, instance }) => {
      const at = now()
      add(hosts, host, at)
      add(instances, instance, at)
    },
    inConflict: (conflict) => {
      const at = now()
      addConflict({ ...conflict, events: 1, first: at, last: at })
    },
    flush: async () => {
      if (hosts.size + instances.size + conflicts.size === 0) return
      const [heardHosts, heardInstances, counted] = [hosts, instances, conflicts]
      hosts = new Map()
      instances = new Map()
      conflicts = new Map()
      try {
        await writeHeard(database, { hosts: heardHosts, instances: heardInstances })
        await writeConflicts(database, [...counted.values()])
      } catch (error) {
        for (const conflict of counted.values()) addConflict(conflict)
        throw error
      }
    },
  }
}

/** The time of the last event of each sender. */
type Times = Map<string, Date>
type CountedConflict = Conflict & { events: number; first: Date; last: Date }

const writeHeard = async (
  { sql: db }: Database,
  { hosts, instances }: { hosts: Times; instances: Times },
): Promise<void> => {
  for (const [table, column, names] of [
    ['registry_hosts', 'host', hosts],
    ['registry_processes', 'instance', instances],
  ] as const) {
    if (names.size === 0) continue
    await sql`
      update ${sql.table(table)} stored set last_heard_at = heard.at
      from unnest(${[...names.keys()]}::text[], ${[...names.values()]}::timestamptz[]) as heard (name, at)
      where stored.${sql.ref(column)} = heard.name
        and stored.last_heard_at < heard.at - ${WRITTEN_EVERY_SECONDS} * interval '1 second'
    `.execute(db)
  }
}

const writeConflicts = async ({ sql: db }: Database, conflicts: readonly CountedConflict[]): Promise<void> => {
  if (conflicts.length === 0) return
  await sql`
    insert into registry_conflicts as stored (registry, other, host, first_at, last_at, events)
    select registry, other, host, first, last, events
    from unnest(
      ${conflicts.map(({ registry }) => registry)}::text[],
      ${conflicts.map(({ other }) => other)}::text[],
      ${conflicts.map(({ host }) => host)}::text[],
      ${conflicts.map(({ events }) => events)}::bigint[],
      ${conflicts.map(({ first }) => first)}::timestamptz[],
      ${conflicts.map(({ last }) => last)}::timestamptz[]
    ) as incoming (registry, other, host, events, first, last)
    where (select count(*) from registry_conflicts) < ${MOST_CONFLICTS} or exists (
      select from registry_conflicts c
      where c.registry = incoming.registry and c.other = incoming.other and c.host = incoming.host
    )
    order by registry, other, host
    on conflict (registry, other, host) do update
      set last_at = greatest(stored.last_at, excluded.last_at), events = stored.events + excluded.events
  `.execute(db)
}
