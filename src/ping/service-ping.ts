import type { Database } from '../storage/sql/database.js'
import { runIfDue, type Occurrence } from '../storage/kept-job.js'
import type { KeptSchedule } from '../runtime/jobs.js'
import { claimedUntil, type Deliver } from './deliver.js'
import { keepPing, type KeptPing } from './history.js'
import { isComplete, type PingKind, type ServicePing } from './payload.js'

/** The name of the job that builds pings. */
export const PING = 'ping'

const SPLAY_MS = 60_000
/**
 * For this long, a ping with missing numbers is rebuilt. After that, the store evidently answers but always fails for some metric,
 * and an incomplete ping is better than no ping.
 */
const REBUILD_MS = 24 * 60 * 60_000

type ServicePingsDeps = {
  database: Database
  build: (kind?: PingKind) => Promise<ServicePing>
  /** Missing if no destination is configured: then pings are built and stored, but not sent. */
  deliver?: Deliver
  /** The name of this process in leases. */
  holder: string
  now: () => Date
  random: () => number
  /** Ends early when the process stops. */
  sleep: (ms: number) => Promise<void>
  stopping: AbortSignal
  /** The schedule of pings. */
  schedule: KeptSchedule
  /** Whether all stores answer: without a store, a ping has -1 instead of its numbers. */
  storesAnswer: () => Promise<boolean>
}

export type ServicePings = {
  build: (kind?: PingKind) => Promise<ServicePing>
  /** Builds and stores a ping, and sends it at once if a destination is configured. @returns the stored ping @throws DeliveryError */
  sendNow: () => Promise<{ ping: KeptPing; sent: boolean }>
  /**
   * To be called every minute. If a ping is due, one of all instances builds it within the next minute, or as soon as all stores
   * answer.
   * @returns whether this instance did
   */
  makeDue: () => Promise<boolean>
  /** Sends due pings that no process has claimed. */
  retry: () => Promise<void>
}

export const createServicePings = (deps: ServicePingsDeps): ServicePings => {
  const { database, build, deliver, holder, now, random, sleep, stopping, schedule, storesAnswer } = deps

  const retry = async (): Promise<void> => {
    await deliver?.due()
  }

  /** Stores the ping and completes the due time in one transaction: however often this is tried, there is only one ping. */
  const makeScheduled = async ({ due, complete }: Occurrence): Promise<'done' | 'later'> => {
    await sleep(random() * SPLAY_MS)
    if (stopping.aborted) return 'later'
    const ping = await build()
    // A store was briefly unavailable, so some numbers are -1.
    if (!isComplete(ping) && now().getTime() - due.getTime() < REBUILD_MS) return 'later'
    if (!(await storesAnswer())) return 'later'
    await database.transaction(async (tx) => {
      if (await complete(tx)) await keepPing(tx, ping, deliver && now())
    })
    return 'done'
  }

  return {
    build,
    retry,
    sendNow: async () => {
      const ping = await keepPing(database.sql, await build(), deliver && claimedUntil(now()))
      return deliver ? { ping: await deliver.now(ping), sent: true } : { ping, sent: false }
    },
    makeDue: async () => {
      const made = await runIfDue({ database, holder, now, isReady: storesAnswer }, schedule, makeScheduled)
      if (made) await retry()
      return made
    },
  }
}
