import { sql } from 'kysely'
import type { Sender } from '../events/registry-event.js'
import type { Database } from '../storage/database.js'

/** A process of one registry reported a host of another. */
export type Conflict = { registry: string; other: string; host: string }

/**
 * Counts in memory when senders were heard and which of them are in conflict, and writes that down now and then: people who look
 * after the service read it, so the last seconds before a crash may be lost.
 */
export type HeardSenders = {
  heard: (sender: Sender) => void
  inConflict: (conflict: Conflict, events: number) => void
  flush: () => Promise<void>
}

/** Conflicts between two writes, and in the table; further ones are not recorded. */
export const MOST_CONFLICTS = 1_000
/** Senders in mind between two writes. */
const MOST_SENDERS = 20_000
const WRITTEN_EVERY_SECONDS = 60

export const createHeardSenders = (database: Database, now: () => Date): HeardSenders => {
  let hosts = new Set<string>()
  let instances = new Set<string>()
  let conflicts = new Map<string, Conflict & { events: number }>()

  const add = (set: Set<string>, name: string | undefined): void => {
    if (name !== undefined && set.size < MOST_SENDERS) set.add(name)
  }
  const addConflict = (conflict: Conflict, events: number): void => {
    const { registry, other, host } = conflict
    const key = JSON.stringify([registry, other, host])
    const known = conflicts.get(key)
    if (known) known.events += events
    else if (conflicts.size < MOST_CONFLICTS) conflicts.set(key, { ...conflict, events })
  }

  return {
    heard: ({ host, instance }) => {
      add(hosts, host)
      add(instances, instance)
    },
    inConflict: addConflict,
    flush: async () => {
      if (hosts.size + instances.size + conflicts.size === 0) return
      const [heardHosts, heardInstances, counted] = [hosts, instances, conflicts]
      hosts = new Set()
      instances = new Set()
      conflicts = new Map()
      try {
        await writeHeard(database, { hosts: heardHosts, instances: heardInstances, now: now() })
        await writeConflicts(database, [...counted.values()], now())
      } catch (error) {
        for (const { events, ...conflict } of counted.values()) addConflict(conflict, events)
        throw error
      }
    },
  }
}

type Heard = { hosts: ReadonlySet<string>; instances: ReadonlySet<string>; now: Date }

const writeHeard = async ({ sql: db }: Database, { hosts, instances, now }: Heard): Promise<void> => {
  for (const [table, column, names] of [
    ['registry_hosts', 'host', hosts],
    ['registry_processes', 'instance', instances],
  ] as const) {
    if (names.size === 0) continue
    await sql`
      update ${sql.table(table)} set last_heard_at = ${now}::timestamptz
      where ${sql.ref(column)} = any(${[...names]}::text[])
        and last_heard_at < ${now}::timestamptz - ${WRITTEN_EVERY_SECONDS} * interval '1 second'
    `.execute(db)
  }
}

const writeConflicts = async (
  { sql: db }: Database,
  conflicts: readonly (Conflict & { events: number })[],
  now: Date,
): Promise<void> => {
  if (conflicts.length === 0) return
  await sql`
    insert into registry_conflicts as stored (registry, other, host, first_at, last_at, events)
    select registry, other, host, ${now}::timestamptz, ${now}::timestamptz, events
    from unnest(
      ${conflicts.map(({ registry }) => registry)}::text[],
      ${conflicts.map(({ other }) => other)}::text[],
      ${conflicts.map(({ host }) => host)}::text[],
      ${conflicts.map(({ events }) => events)}::bigint[]
    ) as incoming (registry, other, host, events)
    where (select count(*) from registry_conflicts) < ${MOST_CONFLICTS} or exists (
      select from registry_conflicts c
      where c.registry = incoming.registry and c.other = incoming.other and c.host = incoming.host
    )
    order by registry, other, host
    on conflict (registry, other, host) do update
      set last_at = greatest(stored.last_at, excluded.last_at), events = stored.events + excluded.events
  `.execute(db)
}
