import { checkStores } from './check-stores.js'
import { version } from '../home.js'
import type { Core } from './core.js'
import {
  JOINED,
  JOINED_LATE,
  REASON_PREFIX,
  sumTallies,
  sumTalliesByPrefix,
  UNREADABLE_FIELD_PREFIX,
  WITHOUT_USER,
} from '../counters/tallies.js'
import { countUnresolved } from '../counters/unresolved-users.js'
import { MICROS_PER_DAY, microsOf, utcDay } from '../events/calendar.js'
import type { StoreCheck } from '../http/health.js'
import { readReceptions, type Reception } from '../ingest/receptions-table.js'
import { REFUSED_PREFIX } from '../ingest/receptions.js'
import { lastReconciliations, type Reconciliation } from '../inventory/reconcile/reports.js'
import { HOW_TO_KNOW_CONTENTS, HOW_TO_KNOW_CONTENTS_OF_CACHE } from '../inventory/questions/unknown.js'
import {
  countUnread,
  unknownContentsByRegistry,
  type UnknownContents,
  type UnreadManifests,
} from '../inventory/read-back/unread-manifests.js'
import type { Registry } from '../registries/registries.js'
import { nextTime } from '../runtime/jobs.js'
import { PING } from '../ping/service-ping.js'
import { newestPing } from '../ping/history.js'
import { readConflicts } from '../registries/conflicts.js'
import type { Database } from '../storage/sql/database.js'
import type { DumpState } from '../storage/embedded/dumps.js'
import { readServiceHeartbeat } from '../schema/service-heartbeat.js'
import { readDueTime } from '../storage/sql/schedules.js'
import { identityStatus, type IdentityStatus } from './identity-status.js'
import type { ComparedClock } from './open-clock.js'
import { readWarnings } from './warnings.js'
import type { WriteState } from './write-check.js'

/** The status of the service for its operators. Times are ISO 8601 in UTC. */
export type Status = {
  version: string
  uuid: string
  installedAt: Date
  stores: StoreCheck
  /**
   * Whether a service uses these stores. With database servers, `lastSignSecondsAgo` is the age of its newest heartbeat, if there
   * is one.
   */
  service: { isRunning: boolean; lastSignSecondsAgo?: number }
  /** Whether the stores accept writes; missing if the status does not come from a running service. */
  writes?: WriteState
  /** The dumps of the embedded database; missing with PostgreSQL. */
  dumps?: DumpState
  /** What an operator should change, in sentences. */
  warnings: string[]
  /** Registries that sent notifications, the most recent first. */
  registries: Reception[]
  /** How the registry of an event is identified, and which events are in doubt. */
  identity: IdentityStatus
  /** Events that were not counted, by reason, over the last seven days. */
  skips: Record<string, number>
  /** Fields of events that could not be read and are unknown, by field, over the last seven days. The events were counted. */
  unreadableFields: Record<string, number>
  /**
   * Events of the last seven days that count for no user, because the registry did not report one: it has no login, or the client
   * did not log in. Totals include these events.
   */
  eventsWithoutUser: number
  /** Users whose id the user directory has not resolved yet. They are counted once it is resolved. */
  unresolvedUsers: number
  /** Requests that were refused, by HTTP status, over the last seven days: a 401 is a wrong token. */
  refused: Record<string, number>
  /**
   * The numbers of requests for manifests that joined a pull or a check over the last seven days, and of those that came after
   * more than half of the join window. If the second number is large, the join window is too short.
   */
  joins: { joined: number; joinedLate: number }
  /** Manifests of unknown contents; each count ends at 10,000. */
  unreadManifests: UnreadManifests
  /**
   * Registries with manifests of unknown contents, and how to make the contents known. `isRead`: Tallyman reads the manifests,
   * because the registry has a url and is no cache.
   */
  unknownContents: (UnknownContents & { isRead: boolean; note: string })[]
  /** The last comparison of the inventory with each registry. */
  reconciliations: Reconciliation[]
  ping: {
    enabled: boolean
    destination: boolean
    /** The time of the next ping. It is in the past while stores do not answer. */
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
/** The scheduled time of the next Service Ping; undefined if the configuration disables pings. */
export const nextPing = ({ config, pingSchedule }: Pick<Core, 'config' | 'pingSchedule'>): Date | undefined =>
  config.ping_enabled ? nextTime(pingSchedule) : undefined

/**
 * Reads the status.
 * @param clock the clock of the service, if one runs in this process
 * @throws if the SQL database is unavailable
 */
export const readStatus = async (core: Core, clock?: ComparedClock): Promise<Status> => {
  const { config, installation, now } = core
  const { database } = core.stores
  const today = microsOf(now())
  const weekAgo = utcDay(today - 6 * MICROS_PER_DAY)
  const [
    stores,
    service,
    registries,
    conflicts,
    skips,
    unreadableFields,
    refused,
    unresolvedUsers,
    [eventsWithoutUser = 0],
    joins,
    unreadManifests,
    unknown,
    reconciliations,
    last,
    warnings,
    dumps,
  ] = await Promise.all([
    checkStores(core.stores),
    serviceOn(core.stores),
    readReceptions(database, REGISTRIES_SHOWN),
    readConflicts({ database, identity: core.identity, now }),
    sumTalliesByPrefix(database.sql, REASON_PREFIX, weekAgo),
    sumTalliesByPrefix(database.sql, UNREADABLE_FIELD_PREFIX, weekAgo),
    sumTalliesByPrefix(database.sql, REFUSED_PREFIX, weekAgo),
    countUnresolved(database),
    sumTallies(database.sql, [{ name: WITHOUT_USER, days: { from: weekAgo } }]),
    joinsSince(database, weekAgo),
    countUnread(database.sql),
    unknownContentsByRegistry(database.sql),
    lastReconciliations(database.sql),
    newestPing(database),
    readWarnings(core, clock),
    core.stores.dumps?.state(),
  ])
  const next = config.ping_enabled ? ((await readDueTime(database.sql, PING)) ?? nextPing(core)) : undefined
  return {
    version,
    uuid: installation.uuid,
    installedAt: installation.installedAt,
    stores,
    service,
    ...(dumps && { dumps }),
    warnings,
    registries,
    identity: identityStatus(core, registries.length, conflicts),
    skips,
    unreadableFields,
    eventsWithoutUser,
    unresolvedUsers,
    refused,
    joins,
    unreadManifests,
    unknownContents: unknown.map((one) => withNote(one, core.registries.list())),
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

/** Services write a heartbeat every 10 s. */
const LONGEST_SILENCE_SECONDS = 60

/** The embedded database is readable only for the process with its lock. A running service adds itself to its own status. */
const serviceOn = async ({ lock, database }: Core['stores']): Promise<Status['service']> => {
  if (lock) return { isRunning: false }
  const seconds = await readServiceHeartbeat(database.sql)
  return seconds === undefined
    ? { isRunning: false }
    : { isRunning: seconds <= LONGEST_SILENCE_SECONDS, lastSignSecondsAgo: seconds }
}

const withNote = (
  { registry, manifests }: UnknownContents,
  registries: readonly Registry[],
): Status['unknownContents'][number] => {
  const named = registries.find(({ name }) => name === registry)
  const isCache = named?.cache === true
  const isRead = named?.url !== undefined && !isCache
  const remedy = isCache ? HOW_TO_KNOW_CONTENTS_OF_CACHE : HOW_TO_KNOW_CONTENTS
  const how = isRead ? 'they are read from the url of the registry' : remedy
  return { registry, manifests, isRead, note: `contents of ${manifests} manifests are unknown: ${how}` }
}

const joinsSince = async (database: Database, from: string): Promise<Status['joins']> => {
  const wanted = [JOINED, JOINED_LATE].map((name) => ({ name, days: { from } }))
  const [joined = 0, joinedLate = 0] = await sumTallies(database.sql, wanted)
  return { joined, joinedLate }
}
