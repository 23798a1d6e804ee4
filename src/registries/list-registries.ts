import { sql } from 'kysely'
import type { Database } from '../storage/sql/database.js'
import type { RegistryIdentity } from './registry-identity.js'

/** How the registry of an event is identified. */
export type IdentifiedBy = 'token' | 'process' | 'configuration' | 'host'

/** A registry, and how it is identified. Times are arrival times of events. */
export type RegistrySummary = {
  name: string
  identifiedBy: IdentifiedBy
  /** Hosts under which clients reach the registry, including its name if an event contained the name; at most 100. */
  hosts: string[]
  hostCount: number
  /** Processes that sent an event in the last 90 days: each start of a registry is a process. */
  processes: number
  /** The number of deliveries of events, including repeated ones. */
  events: number
  /** Null if unknown, as for a registry that its token identifies. */
  firstHeardAt: Date | null
  /** The arrival of its last event. One of its hosts or processes may appear later, in an event of another registry. */
  lastHeardAt: Date | null
}

type ListDeps = {
  database: Database
  identity: RegistryIdentity
  /** The names of notification tokens. */
  tokenNames: readonly string[]
}

const MOST_HOSTS_SHOWN = 100
const MOST_RECEPTIONS = 1_000

/** All registries that sent an event or that the configuration names, the most recent first. */
export const listRegistries = async ({ database, identity, tokenNames }: ListDeps): Promise<RegistrySummary[]> => {
  await identity.refresh()
  const { registries, configured } = identity
  const ofTokens = new Set(tokenNames.map(configured.nameOf))
  const found = new Map<string, SummaryDraft>()
  const summaryOf = (key: string): SummaryDraft => {
    const name = registries.nameOf(key)
    let summary = found.get(name)
    if (!summary) {
      const isConfigured = configured.configuredName(name) !== undefined
      const identifiedBy = ofTokens.has(name) ? 'token' : isConfigured ? 'configuration' : 'host'
      const nothing = { processes: 0, events: 0, firstHeardAt: null, lastHeardAt: null }
      summary = { name, identifiedBy, all: new Set(), senderHeardAt: null, ...nothing }
      found.set(name, summary)
    }
    return summary
  }

  for (const { name, aliases } of registries.list())
    for (const host of [name, ...aliases]) summaryOf(name).all.add(host)
  for (const name of ofTokens) summaryOf(name)
  for (const row of await readKnown(database, identity)) {
    const summary = summaryOf(row.key)
    if (row.host !== null) summary.all.add(row.host)
    summary.processes += row.processes
    if (row.processes > 0 && summary.identifiedBy !== 'token') summary.identifiedBy = 'process'
    summary.events += Number(row.events)
    if (summary.identifiedBy !== 'token') summary.firstHeardAt = earlier(summary.firstHeardAt, row.first)
    if (row.isOfSender) summary.senderHeardAt = later(summary.senderHeardAt, row.last)
    else summary.lastHeardAt = later(summary.lastHeardAt, row.last)
  }
  return [...found.values()]
    .map(({ all, senderHeardAt, ...summary }) => ({
      ...summary,
      lastHeardAt: summary.lastHeardAt ?? senderHeardAt,
      hosts: [...all].sort().slice(0, MOST_HOSTS_SHOWN),
      hostCount: all.size,
    }))
    .sort((a, b) => (b.lastHeardAt?.getTime() ?? 0) - (a.lastHeardAt?.getTime() ?? 0) || (a.name < b.name ? -1 : 1))
}

type SummaryDraft = Omit<RegistrySummary, 'hosts' | 'hostCount'> & { all: Set<string>; senderHeardAt: Date | null }

type KnownRow = {
  key: string
  host: string | null
  processes: number
  events: string
  first: Date | null
  last: Date
  /** Whether the times belong to a host or a process, and not to the registry. */
  isOfSender: boolean
}

/** In the mode `host`, learned hosts and processes are recorded but not used yet. */
const readKnown = async ({ sql: db }: Database, { mode }: RegistryIdentity): Promise<KnownRow[]> => {
  const isInForce = mode === 'process'
  const { rows } = await sql<KnownRow>`
    select registry as key, host, 0 as processes, 0::bigint as events, first_heard_at as first, last_heard_at as last, true as "isOfSender"
    from registry_hosts where ${isInForce}
    union all
    select registry, null, count(*)::int, 0, min(first_heard_at), max(last_heard_at), true
    from registry_processes where ${isInForce} group by registry
    union all
    (select registry, null, 0, events, null, last_received_at, false from receptions
      order by last_received_at desc limit ${MOST_RECEPTIONS})
  `.execute(db)
  return rows
}

const earlier = (a: Date | null, b: Date | null): Date | null => (a && b ? (a < b ? a : b) : (a ?? b))
const later = (a: Date | null, b: Date | null): Date | null => (a && b ? (a > b ? a : b) : (a ?? b))
