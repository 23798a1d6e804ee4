import { sql } from 'kysely'
import type { Database } from '../storage/sql/database.js'
import { MOST_CONFLICTS, type Conflict } from './heard-senders.js'
import type { RegistryIdentity } from './registry-identity.js'

const DAYS_OPEN = 7

/** A conflict of the last seven days. Times are arrival times of events. */
export type OpenConflict = Conflict & {
  firstAt: Date
  lastAt: Date
  events: number
  /** The command or the setting that joins the two registries, if they are the same. */
  remedy: string
}

type ConflictDeps = { database: Database; identity: RegistryIdentity; now: () => Date }

/** The open conflicts, the most recent first, at most 1,000. Conflicts between registries that were joined are left out. */
export const readConflicts = async ({ database, identity, now }: ConflictDeps): Promise<OpenConflict[]> => {
  const { nameOf } = identity.registries
  const { rows } = await sql<Omit<OpenConflict, 'events'> & { events: string }>`
    select registry, other, host, first_at as "firstAt", last_at as "lastAt", events from registry_conflicts
    where last_at > ${now()}::timestamptz - ${DAYS_OPEN} * interval '1 day'
    order by last_at desc, registry, other, host limit ${MOST_CONFLICTS}
  `.execute(database.sql)
  return rows.flatMap(({ events, ...row }) => {
    const [registry, other] = [nameOf(row.registry), nameOf(row.other)]
    if (registry === other) return []
    return [{ ...row, registry, other, events: Number(events), remedy: remedyFor(identity, registry, other) }]
  })
}

/** Only the configuration can join registries that the configuration names. */
const remedyFor = ({ configured }: RegistryIdentity, registry: string, other: string): string => {
  const isNamed = (name: string): boolean => configured.configuredName(name) !== undefined
  if (!isNamed(registry)) return `tallyman registries join ${registry} ${other}`
  if (!isNamed(other)) return `tallyman registries join ${other} ${registry}`
  return `registries: { ${registry}: [${other}] }`
}
