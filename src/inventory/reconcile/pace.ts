import { setTimeout } from 'node:timers/promises'
import { MS_PER_DAY } from '../../events/calendar.js'
import { pauseMs } from '../../events/retry-after.js'
import { RegistryBusy } from '../../registries/client/exchange.js'

/** Starts requests at a limited rate, and counts them. */
export type Pace = {
  /**
   * Sends a request, and retries it if the registry asks to slow down: after the pause that the registry asks for or a longer
   * one, and at a lower rate.
   * @throws the reason of the signal once it is aborted; RegistryBusy if the pauses would be too long
   */
  send: <T>(request: () => Promise<T>) => Promise<T>
  /** Begins a set of requests: once one of them has failed, the rest are not sent. */
  together: () => Pick<Pace, 'send'>
  /** Requests so far. */
  requestCount: () => number
}

type Limits = {
  /** Requests that begin per second, evenly spread. */
  rate: number
  /** Concurrent requests. */
  atOnce: number
  signal?: AbortSignal | undefined
  /** Called every few seconds during a pause, and with 0 when requests continue. */
  onPause?: ((remainingMs: number) => void) | undefined
  timing?: Timing | undefined
}

/** The clock (milliseconds since any moment), sleep and randomness of a pace. */
export type Timing = {
  now: () => number
  /** Ends early, with any error, if the signal is aborted. */
  sleep: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>
  random: () => number
}

const REAL_TIME: Timing = {
  now: () => performance.now(),
  sleep: async (ms, signal) => setTimeout(ms, undefined, signal && { signal }),
  random: Math.random,
}

/** A registry that asks for a longer pause is left to a later run. */
const LONGEST_PAUSE_MS = 5 * 60_000
/** All pauses of one run together. */
const LONGEST_IN_ALL_MS = 30 * 60_000
/** Refusals without a successful response between them. */
const MOST_REFUSALS = 10
/** Each pause halves the rate, down to this minimum; each response raises it a little again. */
const SLOWEST_RATE = 0.2
const RECOVERY = 1.02
const REPORT_EVERY_MS = 5_000

/**
 * Limits requests to a registry, which serves other clients as well: no more than the configured rate, and fewer if the
 * registry asks for that.
 */
export const createPace = ({ rate, atOnce, signal, onPause, timing = REAL_TIME }: Limits): Pace => {
  const { now, sleep, random } = timing
  const queue: (() => void)[] = []
  let free = atOnce
  let requestCount = 0
  let next = -Infinity
  let currentRate = rate
  let pausedSince = -Infinity
  let pausedUntil = -Infinity
  let pausedInAll = 0
  let refusals = 0

  const enter = async (): Promise<void> => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => queue.push(resolve))
  }
  const leave = (): void => {
    const first = queue.shift()
    if (first) first()
    else free++
  }
  const sleepUntil = async (moment: number): Promise<void> => {
    const isPause = pausedUntil > now()
    if (isPause) onPause?.(pausedUntil - now())
    // The caller checks the signal itself.
    await sleep(isPause ? Math.min(moment - now(), REPORT_EVERY_MS) : moment - now(), signal).catch(() => undefined)
    if (isPause && pausedUntil <= now()) onPause?.(0)
  }
  const waitForTurn = async (throwIfStopped: () => void): Promise<void> => {
    for (let begin = Math.max(next, pausedUntil); begin > now(); begin = Math.max(next, pausedUntil)) {
      await sleepUntil(begin)
      throwIfStopped()
    }
    next = Math.max(now(), next) + 1000 / currentRate
  }

  const onSuccess = (): void => {
    refusals = 0
    currentRate = Math.min(rate, currentRate * RECOVERY)
  }
  /** @throws RegistryBusy if the pauses would be too long */
  const onRefusal = (busy: RegistryBusy, begun: number): void => {
    // A refusal of a request that was sent before the pause began is not new.
    const isNew = begun >= pausedSince
    if (isNew) {
      refusals++
      currentRate = Math.max(Math.min(rate, SLOWEST_RATE), currentRate / 2)
    }
    const pause = pauseMs(busy, refusals, random())
    const until = Math.max(pausedUntil, now() + pause)
    pausedInAll += until - Math.max(now(), pausedUntil)
    if (pause > LONGEST_PAUSE_MS || pausedInAll > LONGEST_IN_ALL_MS || refusals > MOST_REFUSALS) {
      const wait = pause > MS_PER_DAY ? 'more than a day' : `${Math.ceil(pause / 1000)} s`
      const advice = `wait ${wait} and run it again: it continues where it stopped`
      throw new RegistryBusy(`${busy.message}, for longer than a run waits; ${advice}`, busy.retryAfterMs)
    }
    if (isNew) pausedSince = now()
    pausedUntil = until
  }

  const sendWhile = async <T>(throwIfStopped: () => void, request: () => Promise<T>): Promise<T> => {
    await enter()
    try {
      for (;;) {
        throwIfStopped()
        await waitForTurn(throwIfStopped)
        requestCount++
        const begun = now()
        try {
          const answer = await request()
          onSuccess()
          return answer
        } catch (error) {
          if (!(error instanceof RegistryBusy)) throw error
          onRefusal(error, begun)
        }
      }
    } finally {
      leave()
    }
  }
  const throwIfAborted = (): void => signal?.throwIfAborted()

  return {
    send: async (request) => sendWhile(throwIfAborted, request),
    together: () => {
      const failures: unknown[] = []
      const throwIfStopped = (): void => {
        throwIfAborted()
        if (failures.length > 0) throw failures[0]
      }
      return {
        send: async (request) =>
          sendWhile(throwIfStopped, request).catch((error: unknown) => {
            failures.push(error)
            throw error
          }),
      }
    },
    requestCount: () => requestCount,
  }
}
