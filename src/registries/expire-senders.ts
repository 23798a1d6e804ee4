import { sql } from 'kysely'
import type { Sql } from '../storage/sql/database.js'
import { MOST_HOSTS, type Configured, type Learned } from './learned.js'

const PROCESS_DAYS = 90
const CONFLICT_DAYS = 30
/** If the limit of hosts is reached, hosts whose events all arrived within one hour are removed after so many days. */
const SEEN_ONCE_DAYS = 3

type ExpireDeps = { learned: Learned; configured: Configured; now: Date }

/**
 * Removes senders without an event for a long time. Requires the lock of `lockLearned`.
 * @returns whether hosts or processes were removed
 */
export const expireSenders = async (tx: Sql, { learned, configured, now }: ExpireDeps): Promise<boolean> => {
  await sql`
    delete from registry_conflicts where last_at < ${now}::timestamptz - ${CONFLICT_DAYS} * interval '1 day'
  `.execute(tx)
  const { numAffectedRows: processes = 0n } = await sql`
    delete from registry_processes where last_heard_at < ${now}::timestamptz - ${PROCESS_DAYS} * interval '1 day'
  `.execute(tx)
  const hosts = await makeRoom(tx, { learned, configured, now })
  return processes + hosts > 0n
}

/**
 * Removes hosts of full registries whose events all arrived within one hour: clients invent hosts, and there must be space for
 * real ones. Names of registries, configured hosts, and hosts that an operator joined stay.
 */
const makeRoom = async (tx: Sql, { learned, configured, now }: ExpireDeps): Promise<bigint> => {
  const isFull = learned.hosts.size >= MOST_HOSTS
  const full = new Set(learned.fullRegistries())
  if (!isFull && full.size === 0) return 0n
  const hosts = [...learned.hosts].flatMap(([host, key]) => {
    const isKept = host === key || configured.configuredName(host) !== undefined
    return !isKept && (isFull || full.has(learned.nameOf(key))) ? [host] : []
  })
  const { numAffectedRows = 0n } = await sql`
    delete from registry_hosts
    where host = any(${hosts}::text[]) and not is_permanent
      and last_heard_at < first_heard_at + interval '1 hour'
      and last_heard_at < ${now}::timestamptz - ${SEEN_ONCE_DAYS} * interval '1 day'
  `.execute(tx)
  return numAffectedRows
}
