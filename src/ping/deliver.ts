import type { Database } from '../storage/sql/database.js'
import { claimDuePing, LONGEST_WAIT_MS, markFailed, markSent, postponePings, type KeptPing } from './history.js'
import { UserError } from '../runtime/user-error.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** The delays after the first, second, … failed attempt. After the attempt that follows the last delay, Tallyman gives up. */
const RETRY_DELAYS = [MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR, 16 * HOUR, LONGEST_WAIT_MS]
const REQUEST_LIMIT_MS = 30_000
const PINGS_AT_ONCE = 10
/**
 * How long a process claims a ping that it sends. That is longer than all requests for one ping. If the process dies, the ping is due
 * again after this time.
 */
const CLAIM_MS = 5 * MINUTE

/** The end of a claim that begins now. */
export const claimedUntil = (now: Date): Date => new Date(now.getTime() + CLAIM_MS)

/** A ping could not be delivered. The message explains what happens next, and contains no address. */
class DeliveryError extends UserError {
  override readonly kind = 'upstream'
}

type DeliverDeps = {
  database: Database
  /** The URL for payloads. Metadata and error reports go to its siblings `usage_ping_metadata` and `usage_ping_errors`. */
  destination: URL
  /** The sender in error reports. */
  sender: { uuid: string; hostname: string; version: string }
  now: () => Date
  /** Aborted when the process stops, which ends requests. */
  stopping: AbortSignal
  /** The pause that an answer requests; undefined if it does not ask to slow down. */
  pauseIn?: (answer: Response, now: Date) => { retryAfterMs: number | undefined } | undefined
}

export type Deliver = {
  /** Tries all due pings, until the destination asks to slow down. @returns how many were sent, and how many failed */
  due: () => Promise<{ sent: number; failed: number }>
  /** Tries one ping that the caller has claimed. @returns the stored ping @throws DeliveryError after the next attempt was scheduled */
  now: (ping: KeptPing) => Promise<KeptPing>
}

export const createDeliver = ({ database, destination, sender, now, stopping, pauseIn }: DeliverDeps): Deliver => {
  const post = postUntil(stopping, (answer) => pauseIn?.(answer, now()))
  const attempt = async (ping: KeptPing): Promise<KeptPing> => {
    const start = now()
    const failure = await post(destination, ping.payload).then(() => undefined, failureOf)
    // Not a failure of the destination: the ping is due again when its claim ends, soon after the next start.
    if (failure !== undefined && stopping.aborted)
      throw new DeliveryError('Tallyman stops; the ping is stored, and sent later')
    if (failure !== undefined) throw await noteFailure(ping, start, failure)
    const sent = await markSent(database, ping, now())
    // The payload has arrived. The metadata is less important, so it is sent without retries.
    await postAside('usage_ping_metadata', { metadata: ping.metadata })
    return sent
  }

  /** Posts data without retries. */
  const postAside = async (path: string, body: unknown): Promise<void> => {
    const failure = await post(new URL(path, destination), body).then(() => undefined, failureOf)
    if (failure?.pause) await slowDown(failure.pause).catch(() => undefined)
  }

  /** Postpones all pings of all instances, because the destination asks to slow down. */
  const slowDown = async (pause: Exclude<Pause, undefined>): Promise<void> => {
    await postponePings(database, new Date(now().getTime() + Math.max(boundedPauseMs(pause), MINUTE)))
  }

  const noteFailure = async (ping: KeptPing, start: Date, { message, pause }: Failure): Promise<DeliveryError> => {
    const at = now()
    const wait = RETRY_DELAYS[ping.attempts]
    const next = wait === undefined ? undefined : new Date(at.getTime() + Math.max(wait, boundedPauseMs(pause)))
    await markFailed(database, ping, message, next)
    if (pause) await slowDown(pause)
    const elapsed = Math.round((at.getTime() - start.getTime()) / 100) / 10
    const report = { error: { time: at.toISOString(), ...sender, message, elapsed } }
    // If the destination asks to slow down, it gets no error report about that.
    if (!pause) await postAside('usage_ping_errors', report)
    const fate = next ? `the ping is stored, and the next attempt is at ${next.toISOString()}` : 'the ping is given up'
    return new DeliveryError(`${message}; ${fate}`)
  }

  return {
    now: attempt,
    due: async () => {
      const results = { sent: 0, failed: 0 }
      for (let i = 0; i < PINGS_AT_ONCE && !stopping.aborted; i++) {
        const ping = await claimDuePing(database, now(), claimedUntil(now()))
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

/** The requested pause in milliseconds, at most LONGEST_WAIT_MS. */
const boundedPauseMs = (pause: Pause): number => Math.min(pause?.retryAfterMs ?? 0, LONGEST_WAIT_MS)

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
