import type { Database } from '../storage/database.js'
import { duePings, markFailed, markSent, type KeptPing } from './history.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** Waits after the first, second, … failed attempt; after the last one a ping is given up. */
const WAITS = [MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR, 16 * HOUR, 24 * HOUR]
const REQUEST_LIMIT_MS = 30_000
const PINGS_AT_ONCE = 10

/** A ping could not be delivered. The message holds no address. */
export class DeliveryError extends Error {}

type Needs = {
  database: Database
  /** Where payloads are POSTed; metadata and error reports go to its siblings `usage_ping_metadata` and `usage_ping_errors`. */
  destination: URL
  /** Who sends, for error reports. */
  sender: { uuid: string; hostname: string; version: string }
  now: () => Date
}

export type Deliver = {
  /** Tries all pings that are due. @returns how many were sent. */
  due: () => Promise<{ sent: number; failed: number }>
  /** Tries one ping now. @throws DeliveryError; the next attempt is then planned. */
  now: (ping: KeptPing) => Promise<void>
}

export const createDeliver = ({ database, destination, sender, now }: Needs): Deliver => {
  const attempt = async (ping: KeptPing): Promise<void> => {
    const start = now().getTime()
    try {
      await post(destination, ping.payload)
    } catch (error) {
      const message = error instanceof Error ? error.message : 'failed'
      const wait = WAITS[ping.attempts]
      await markFailed(database, ping, message, wait === undefined ? undefined : new Date(now().getTime() + wait))
      const elapsed = Math.round((now().getTime() - start) / 100) / 10
      const report = { error: { time: now().toISOString(), ...sender, message, elapsed } }
      await post(new URL('usage_ping_errors', destination), report).catch(() => undefined)
      throw error
    }
    await markSent(database, ping, now())
    // The numbers have arrived; how long each took is worth one try.
    await post(new URL('usage_ping_metadata', destination), { metadata: ping.metadata }).catch(() => undefined)
  }

  return {
    now: attempt,
    due: async () => {
      const results = { sent: 0, failed: 0 }
      for (const ping of await duePings(database, now(), PINGS_AT_ONCE)) {
        await attempt(ping).then(
          () => results.sent++,
          () => results.failed++,
        )
      }
      return results
    },
  }
}

const post = async (address: URL, body: unknown): Promise<void> => {
  const url = new URL(address)
  const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' }
  if (url.username !== '') {
    headers.authorization = `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString('base64')}`
    url.username = ''
    url.password = ''
  }
  const response = await fetch(url, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    redirect: 'manual',
    signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
  }).catch((error: unknown) => {
    throw new DeliveryError(`the destination cannot be reached (${reasonOf(error)})`)
  })
  await response.body?.cancel()
  if (!response.ok) throw new DeliveryError(`the destination answered ${response.status}`)
}

/** The code of a failed connection, or the name of the error. */
const reasonOf = (error: unknown): string => {
  const { cause, name } = error as { cause?: { code?: string }; name: string }
  return cause?.code ?? name
}
