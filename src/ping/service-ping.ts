import type { Database } from '../storage/sql/database.js'
import { runIfDue, type Occurrence } from '../storage/kept-job.js'
import type { KeptSchedule } from '../runtime/jobs.js'
import { inHandUntil, type Deliver } from './deliver.js'
import { keepPing, type KeptPing } from './history.js'
import { isComplete, type PingKind, type ServicePing } from './payload.js'

/** The name of the job that makes pings. */
export const PING = 'ping'

const SPLAY_MS = 60_000
/**
 * A ping that lacks numbers of a store is made again for so long. After this time it is the store that never answers a metric,
 * although it answers: a ping that says so is better than none.
 */
const REBUILD_MS = 24 * 60 * 60_000

type ServicePingsDeps = {
  database: Database
  build: (kind?: PingKind) => Promise<ServicePing>
  /** Missing where no destination is configured: pings are then made and kept, and sent nowhere. */
  deliver?: Deliver
  /** This process, for leases. */
  holder: string
  now: () => Date
  random: () => number
  /** Ends early when the process stops. */
  sleep: (ms: number) => Promise<void>
  stopping: AbortSignal
  /** When pings are made. */
  schedule: KeptSchedule
  /** Whether all stores answer: a ping that is made without one of them has -1 in place of its numbers. */
  storesAnswer: () => Promise<boolean>
}

export type ServicePings = {
  build: (kind?: PingKind) => Promise<ServicePing>
  /** Makes a ping, keeps it, and sends it at once. @returns it as it is kept then. @throws DeliveryError */
  sendNow: () => Promise<{ ping: KeptPing; sent: boolean }>
  /**
   * To be called every minute: if a ping is due, one of all instances makes it within the next minute, or as soon as all stores
   * answer. @returns whether this instance did.
   */
  makeDue: () => Promise<boolean>
  /** Sends what is due and in nobody's hand. */
  retry: () => Promise<void>
}

export const createServicePings = (deps: ServicePingsDeps): ServicePings => {
  const { database, build, deliver, holder, now, random, sleep, stopping, schedule, storesAnswer } = deps

  const retry = async (): Promise<void> => {
    await deliver?.due()
  }

  /** The ping and the note that it was made are one transaction: however often this is tried, there is one ping. */
  const makeScheduled = async ({ due, complete }: Occurrence): Promise<'done' | 'later'> => {
    await sleep(random() * SPLAY_MS)
    if (stopping.aborted) return 'later'
    const ping = await build()
    // A store that did not answer for a moment has left -1 in place of numbers.
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
      const ping = await keepPing(database.sql, await build(), deliver && inHandUntil(now()))
      return deliver ? { ping: await deliver.now(ping), sent: true } : { ping, sent: false }
    },
    makeDue: async () => {
      const made = await runIfDue({ database, holder, now, isReady: storesAnswer }, schedule, makeScheduled)
      if (made) await retry()
      return made
    },
  }
}
