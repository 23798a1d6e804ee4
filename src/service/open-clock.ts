import { dateOf } from '../events/calendar.js'
import { newestTime } from '../inventory/model/newest-time.js'
import { createServiceClock, MOST_BEHIND_MS, type ServiceClock } from '../runtime/service-clock.js'
import { readSeenAt } from '../schema/seen-at.js'
import { msBehindDatabase } from '../storage/sql/database-clock.js'
import type { Database, Sql } from '../storage/sql/database.js'
import type { Core } from './core.js'

/** The clock of a service that compares it with the database's clock. */
export type ComparedClock = ServiceClock & { compare: () => Promise<void> }

/** Compares the clock of the machine with the database's, and with what services recorded. */
export const openClock = async ({ stores, now }: Pick<Core, 'stores' | 'now'>): Promise<ComparedClock> => {
  const { database } = stores
  const clock = createServiceClock(now)
  const compare = async (): Promise<void> => {
    clock.setBehind(await msBehindDatabase(database))
  }
  await compare()
  const recorded = await newestRecorded(database.sql)
  if (recorded) clock.noteRecorded(recorded)
  return { ...clock, compare }
}

/** The newest time that a service recorded by its clock: when one ran, or when an event arrived. */
const newestRecorded = async (db: Sql): Promise<Date | undefined> => {
  const [seenAt, at] = await Promise.all([readSeenAt(db), newestTime(db)])
  const newest = Math.max(seenAt?.getTime() ?? -Infinity, dateOf(at).getTime() || -Infinity)
  return Number.isFinite(newest) ? new Date(newest) : undefined
}

/** What is recorded may be so far ahead: the minute in which a service notes its time, and clocks of services that differ. */
const MOST_AHEAD_MS = 60_000

/** Says that the clock of the machine is behind. */
export const clockWarnings = async (
  database: Pick<Database, 'engine' | 'sql'>,
  now: Date,
  machine?: () => number,
): Promise<string[]> => {
  const behind = await msBehindDatabase(database, machine)
  if (behind > MOST_BEHIND_MS)
    return [
      `the clock of this machine is ${Math.round(behind / 1000)} s behind that of PostgreSQL, whose time is used for events that arrive: ` +
        'synchronize both clocks (NTP)',
    ]
  const recorded = await newestRecorded(database.sql)
  if (!recorded || recorded.getTime() <= now.getTime() + MOST_AHEAD_MS) return []
  return [
    `the clock of this machine is behind, or it was ahead: it shows ${now.toISOString()}, but what was recorded last is of ` +
      `${recorded.toISOString()}: synchronize the clock (NTP); if it is right now, run tallyman inventory reconcile --apply`,
  ]
}
