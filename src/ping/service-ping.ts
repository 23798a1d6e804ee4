import type { Database } from '../storage/database.js'
import { takeLease } from '../storage/leases.js'
import { inHandUntil, type Deliver } from './deliver.js'
import { keepPing, type KeptPing } from './history.js'
import type { PingKind, ServicePing } from './payload.js'

const SPLAY_MS = 60_000
/** Longer than any two instances' clocks and splays can differ. */
const LEASE_SECONDS = 60 * 60

type Needs = {
  database: Database
  build: (kind?: PingKind) => Promise<ServicePing>
  /** Missing where no destination is configured: pings are then made and kept, and sent nowhere. */
  deliver?: Deliver
  /** This process, for leases. */
  holder: string
  now: () => Date
  random: () => number
  sleep: (ms: number) => Promise<void>
}

export type ServicePings = {
  build: (kind?: PingKind) => Promise<ServicePing>
  /** Makes a ping, keeps it, and sends it at once. @returns it as it is kept then. @throws DeliveryError */
  sendNow: () => Promise<{ ping: KeptPing; sent: boolean }>
  /** What the schedule calls: one of all instances makes the ping, some time within the next minute. @returns whether we did. */
  scheduled: () => Promise<boolean>
  /** Sends what is due, if no other instance is at it. */
  retry: () => Promise<void>
}

export const createServicePings = ({ database, build, deliver, holder, now, random, sleep }: Needs): ServicePings => {
  const make = async (due: Date): Promise<KeptPing> => keepPing(database, await build(), deliver ? due : undefined)

  const retry = async (): Promise<void> => {
    if (deliver && (await takeLease(database, 'ping delivery', holder, LEASE_SECONDS))) await deliver.due()
  }

  return {
    build,
    retry,
    sendNow: async () => {
      const ping = await make(inHandUntil(now()))
      return deliver ? { ping: await deliver.now(ping), sent: true } : { ping, sent: false }
    },
    scheduled: async () => {
      const fired = new Date(Math.round(now().getTime() / 60_000) * 60_000).toISOString()
      await sleep(random() * SPLAY_MS)
      // The lease is never given back: another instance that wakes up later must not make a second ping of this hour.
      if (!(await takeLease(database, `ping ${fired}`, holder, LEASE_SECONDS))) return false
      await make(now())
      await retry()
      return true
    },
  }
}
