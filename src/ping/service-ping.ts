import type { Database } from '../storage/database.js'
import { takeLease } from '../storage/leases.js'
import { inHandUntil, type Deliver } from './deliver.js'
import { keepPing, type KeptPing } from './history.js'
import type { PingKind, ServicePing } from './payload.js'

const SPLAY_MS = 60_000
/**
 * Longer than two instances' clocks and splays differ, shorter than schedules are apart. Whoever holds it may take it again,
 * so a schedule that is tighter works too.
 */
const LEASE_SECONDS = 10 * 60

type Needs = {
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
}

export type ServicePings = {
  build: (kind?: PingKind) => Promise<ServicePing>
  /** Makes a ping, keeps it, and sends it at once. @returns it as it is kept then. @throws DeliveryError */
  sendNow: () => Promise<{ ping: KeptPing; sent: boolean }>
  /** What the schedule calls: one of all instances makes the ping, some time within the next minute. @returns whether we did. */
  scheduled: () => Promise<boolean>
  /** Sends what is due and in nobody's hand. */
  retry: () => Promise<void>
}

export const createServicePings = (needs: Needs): ServicePings => {
  const { database, build, deliver, holder, now, random, sleep, stopping } = needs
  const make = async (due: Date): Promise<KeptPing> => keepPing(database, await build(), deliver ? due : undefined)

  const retry = async (): Promise<void> => {
    await deliver?.due()
  }

  return {
    build,
    retry,
    sendNow: async () => {
      const ping = await make(inHandUntil(now()))
      return deliver ? { ping: await deliver.now(ping), sent: true } : { ping, sent: false }
    },
    scheduled: async () => {
      await sleep(random() * SPLAY_MS)
      if (stopping.aborted) return false
      // The lease is never given back: another instance that wakes up later must not make a second ping at this time.
      if (!(await takeLease(database, 'ping', holder, LEASE_SECONDS))) return false
      await make(now())
      await retry()
      return true
    },
  }
}
