import { dateOf, microsOf } from '../events/calendar.js'
import { createNewestTime, readNewestTime, type NewestTime } from '../inventory/model/newest-time.js'
import { createServiceClock, MOST_BEHIND_MS, type ServiceClock } from '../runtime/service-clock.js'
import { readSeenAt } from '../schema/seen-at.js'
import { msBehindDatabase } from '../storage/sql/database-clock.js'
import type { Core } from './core.js'

/** The clock of a service that is compared with the database's clock, and with what services recorded. */
export type ComparedClock = ServiceClock & {
  compare: () => Promise<void>
  /** The newest time that a service recorded by its clock: when one ran, or when an event arrived. */
  recorded: NewestTime
  /** Says that the clock of the machine is behind. */
  warnings: () => Promise<string[]>
}

export const openClock = async ({ stores, now }: Pick<Core, 'stores' | 'now'>): Promise<ComparedClock> => {
  const { database } = stores
  const clock = createServiceClock(now)
  const msBehind = async (): Promise<number> => msBehindDatabase(database, () => now().getTime())
  const compare = async (): Promise<void> => {
    clock.setBehind(await msBehind())
  }
  const recorded = createNewestTime(database, async (db) => {
    const seenAt = await readSeenAt(db)
    const newest = await readNewestTime(db)
    const at = Math.max(newest, seenAt ? microsOf(seenAt) : -Infinity)
    if (Number.isFinite(at)) clock.setRecorded(dateOf(at))
    return at
  })
  await Promise.all([compare(), recorded.read()])
  const warnings = async (): Promise<string[]> => warningsOf(await msBehind(), dateOf(await recorded.read()), now())
  return { ...clock, compare, recorded, warnings }
}

/** What is recorded may be so far ahead: the minute in which a service notes its time, and clocks of services that differ. */
const MOST_AHEAD_MS = 60_000

/** @param recorded an invalid Date if there is no recorded time */
const warningsOf = (msBehind: number, recorded: Date, now: Date): string[] => {
  if (msBehind > MOST_BEHIND_MS)
    return [
      `the clock of this machine is ${Math.round(msBehind / 1000)} s behind that of PostgreSQL, whose time is used for events that arrive: ` +
        'synchronize both clocks (NTP)',
    ]
  if (!(recorded.getTime() > now.getTime() + MOST_AHEAD_MS)) return []
  return [
    `the clock of this machine is behind, or it was ahead: it shows ${now.toISOString()}, but what was recorded last is of ` +
      `${recorded.toISOString()}: synchronize the clock (NTP); if it is right now, ` +
      'run tallyman inventory reconcile --apply, which repairs the times of registries with a url',
  ]
}
