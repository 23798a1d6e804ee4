import type { Database } from '../storage/sql/database.js'
import { claimDuePing, markFailed, markSent, postponePings, type KeptPing } from './history.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** Waits after the first, second, … failed attempt; after the last one a ping is given up. */
const WAITS = [MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR, 16 * HOUR, 24 * HOUR]
/** A destination that asks for a longer pause is tried after this one. */
const LONGEST_PAUSE = 24 * HOUR
const REQUEST_LIMIT_MS = 30_000
const PINGS_AT_ONCE = 10
/**
 * Whoever sends a ping has it alone for this long, which is more than its requests can take together. Should the process die
 * meanwhile, the ping is due again afterwards.
 */
const IN_HAND_MS = 5 * MINUTE

/** Until when a ping belongs to whoever begins to send it now. */
export const inHandUntil = (now: Date): Date => new Date(now.getTime() + IN_HAND_MS)

/** A ping could not be delivered. The message says what becomes of it, and holds no address. */
export class DeliveryError extends Error {}

type DeliverDeps = {
  database: Database
  /** Where payloads are POSTed; metadata and error reports go to its siblings `usage_ping_metadata` and `usage_ping_errors`. */
  destination: URL
  /** Who sends, for error reports. */
  sender: { uuid: string; hostname: string; version: string }
  now: () => Date
  /** Ends requests, because the process stops. */
  stopping: AbortSignal
  /** The pause that an answer asks for; undefined if it does not ask to slow down. */
  pauseIn?: (answer: Response, now: Date) => { retryAfterMs: number | undefined } | undefined
}

export type Deliver = {
  /** Tries all pings that are due, until the destination asks to slow down. @returns how many were sent. */
  due: () => Promise<{ sent: number; failed: number }>
  /** Tries one ping that the caller has in hand. @returns it as it is kept then. @throws DeliveryError; the next attempt is planned. */
  now: (ping: KeptPing) => Promise<KeptPing>
}

export const createDeliver = ({ database, destination, sender, now, stopping, pauseIn }: DeliverDeps): Deliver => {
  const post = postUntil(stopping, (answer) => pauseIn?.(answer, now()))
  const attempt = async (ping: KeptPing): Promise<KeptPing> => {
    const start = now()
    const failure = await post(destination, ping.payload).then(() => undefined, failureOf)
    // Not a failure of the destination: the ping is due again when it is no longer in hand, soon after the next start.
    if (failure !== undefined && stopping.aborted) throw new DeliveryError('Tallyman stops; the ping is kept')
    if (failure !== undefined) throw await noteFailure(ping, start, failure)
    const sent = await markSent(database, ping, now())
    // The numbers have arrived; how long each took is worth one try.
    await postAside('usage_ping_metadata', { metadata: ping.metadata })
    return sent
  }

  /** Posts what is worth one try. */
  const postAside = async (path: string, body: unknown): Promise<void> => {
    const failure = await post(new URL(path, destination), body).then(() => undefined, failureOf)
    if (failure?.pause) await slowDown(failure.pause).catch(() => undefined)
  }

  /** The destination asks for a pause of everything that is sent to it, by any instance. */
  const slowDown = async (pause: Exclude<Pause, undefined>): Promise<void> => {
    await postponePings(database, new Date(now().getTime() + Math.max(keptPauseMs(pause), MINUTE)))
  }

  const noteFailure = async (ping: KeptPing, start: Date, { message, pause }: Failure): Promise<DeliveryError> => {
    const at = now()
    const wait = WAITS[ping.attempts]
    const next = wait === undefined ? undefined : new Date(at.getTime() + Math.max(wait, keptPauseMs(pause)))
    await markFailed(database, ping, message, next)
    if (pause) await slowDown(pause)
    const elapsed = Math.round((at.getTime() - start.getTime()) / 100) / 10
    const report = { error: { time: at.toISOString(), ...sender, message, elapsed } }
    // A destination that asks to slow down is not sent a report of that.
    if (!pause) await postAside('usage_ping_errors', report)
    const fate = next ? `the ping is kept, and tried again at ${next.toISOString()}` : 'the ping is given up'
    return new DeliveryError(`${message}; ${fate}`)
  }

  return {
    now: attempt,
    due: async () => {
      const results = { sent: 0, failed: 0 }
      for (let i = 0; i < PINGS_AT_ONCE && !stopping.aborted; i++) {
        const ping = await claimDuePing(database, now(), inHandUntil(now()))
        if (!ping) break
        await attempt(ping).then(
          () => results.sent++,
          () => results.failed++,
        )
      }
      return results
    },
  }
}

type Pause = ReturnType<Exclude<DeliverDeps['pauseIn'], undefined>>
type Failure = { message: string; pause?: Pause }

/** The pause that is kept, in milliseconds. */
const keptPauseMs = (pause: Pause): number => Math.min(pause?.retryAfterMs ?? 0, LONGEST_PAUSE)

/** The destination asks to slow down. */
class Busy extends DeliveryError {
  constructor(
    message: string,
    readonly pause: Pause,
  ) {
    super(message)
  }
}

const failureOf = (error: unknown): Failure => ({
  message: error instanceof Error ? error.message : 'failed',
  ...(error instanceof Busy && { pause: error.pause }),
})

const postUntil =
  (stopping: AbortSignal, pauseIn: (answer: Response) => Pause) =>
  async (address: URL, body: unknown): Promise<void> => {
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
      signal: AbortSignal.any([stopping, AbortSignal.timeout(REQUEST_LIMIT_MS)]),
    }).catch((error: unknown) => {
      throw new DeliveryError(`the destination cannot be reached (${reasonOf(error)})`)
    })
    await response.body?.cancel()
    const pause = pauseIn(response)
    if (pause) throw new Busy(`the destination answered ${response.status}: it asks to slow down`, pause)
    if (!response.ok) throw new DeliveryError(`the destination answered ${response.status}`)
  }

/** The code of a failed connection, or the name of the error. */
const reasonOf = (error: unknown): string => {
  const { cause, name } = error as { cause?: { code?: string }; name: string }
  return cause?.code ?? name
}
