import { sql } from 'kysely'
import { version, type Core } from './core.js'
import { JOINED, JOINED_LATE, SKIP_PREFIX, sumTallies } from './counters/tallies.js'
import { countUnresolved } from './counters/unresolved-users.js'
import { MICROS_PER_DAY, microsOf, utcDay } from './events/calendar.js'
import type { StoreCheck } from './http/health.js'
import { readReceptions, REFUSED_PREFIX, type Reception } from './ingest/receptions.js'
import { lastReconciliations, type Reconciliation } from './inventory/reconcile/reports.js'
import { countUnread, type UnreadManifests } from './inventory/registry/unread-manifests.js'
import { nextTime } from './jobs.js'
import { newestPing } from './ping/history.js'
import type { Database } from './storage/database.js'
import type { Stores } from './stores.js'
import { within } from './within.js'

/** What someone who looks after the service wants to know. Times are ISO 8601 in UTC. */
export type Status = {
  version: string
  uuid: string
  installedAt: Date
  stores: StoreCheck
  /** Registries heard of, the last one first; empty when no notification ever came. */
  registries: Reception[]
  /** Events that were not counted, by reason, over the last seven days. */
  skips: Record<string, number>
  /** People whose id the user directory could not tell yet; they are counted when it can. */
  unresolvedUsers: number
  /** Requests that were refused, by HTTP status, over the last seven days: a 401 is a wrong token. */
  refused: Record<string, number>
  /**
   * Requests for manifests that joined a pull or check over the last seven days, and those of them that came after more than half
   * the join window: when they are many, it is too short.
   */
  joins: { joined: number; joinedLate: number }
  /** Manifests whose contents are not known; each count ends at 10,000. */
  unreadManifests: UnreadManifests
  /** The last comparison of the inventory with each registry. */
  reconciliations: Reconciliation[]
  ping: {
    enabled: boolean
    destination: boolean
    next?: Date
    last?: {
      recordedAt: Date
      sentAt: Date | null
      attempts: number
      nextAttemptAt: Date | null
      lastError: string | null
    }
  }
}

const REGISTRIES_SHOWN = 20
/** Whoever asks whether we are ready does not wait long for the answer. */
const CHECK_LIMIT_MS = 2_000

/** Asks each store for its version; one that does not answer soon is away. */
export const checkStores = async ({
  database,
  sketches,
}: Pick<Stores, 'database' | 'sketches'>): Promise<StoreCheck> => {
  const check = async (version: () => Promise<string>): Promise<StoreCheck[string]> => {
    try {
      return { ok: true, version: await within(CHECK_LIMIT_MS, version()) }
    } catch {
      return { ok: false, error: 'does not answer' }
    }
  }
  const [databaseCheck, sketchesCheck] = await Promise.all([check(database.version), check(sketches.version)])
  return {
    [database.engine]: databaseCheck,
    ...(sketches.name === 'redis' && { redis: sketchesCheck }),
  }
}

/** When the next Service Ping is made; undefined when the configuration wants none. */
export const nextPing = ({ config, pingSchedule }: Pick<Core, 'config' | 'pingSchedule'>): Date | undefined =>
  config.ping_enabled ? nextTime(pingSchedule) : undefined

/** Gathers the status. @throws when the SQL database is away. */
export const readStatus = async (core: Core): Promise<Status> => {
  const { config, installation, now } = core
  const { database } = core.stores
  const today = microsOf(now())
  const weekAgo = utcDay(today - 6 * MICROS_PER_DAY)
  const [stores, registries, skips, refused, unresolvedUsers, joins, unreadManifests, reconciliations, last] =
    await Promise.all([
      checkStores(core.stores),
      readReceptions(database, REGISTRIES_SHOWN),
      tallied(database, SKIP_PREFIX, weekAgo),
      tallied(database, REFUSED_PREFIX, weekAgo),
      countUnresolved(database),
      joinsSince(database, weekAgo),
      countUnread(database.sql),
      lastReconciliations(database.sql),
      newestPing(database),
    ])
  const next = nextPing(core)
  return {
    version,
    uuid: installation.uuid,
    installedAt: installation.installedAt,
    stores,
    registries,
    skips,
    unresolvedUsers,
    refused,
    joins,
    unreadManifests,
    reconciliations,
    ping: {
      enabled: config.ping_enabled,
      destination: config.ping_url !== undefined,
      ...(next && { next }),
      ...(last && {
        last: {
          recordedAt: last.recordedAt,
          sentAt: last.sentAt,
          attempts: last.attempts,
          nextAttemptAt: last.nextAttemptAt,
          lastError: last.lastError,
        },
      }),
    },
  }
}

const joinsSince = async (database: Database, from: string): Promise<Status['joins']> => {
  const wanted = [JOINED, JOINED_LATE].map((name) => ({ name, days: { from } }))
  const [joined = 0, joinedLate = 0] = await sumTallies(database.sql, wanted)
  return { joined, joinedLate }
}

const tallied = async (database: Database, prefix: string, since: string): Promise<Record<string, number>> => {
  const { rows } = await sql<{ name: string; value: string }>`
    select name, sum(value) as value from tallies
    where starts_with(name, ${prefix}) and day >= ${since}::date group by name order by 2 desc
  `.execute(database.sql)
  return Object.fromEntries(rows.map(({ name, value }) => [name.slice(prefix.length), Number(value)]))
}
