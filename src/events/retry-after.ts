/** A peer refuses a request for now, and the same request is welcome later (RFC 6585, 429; RFC 9110, 503 with Retry-After). */
export type Pause = {
  /** How long the peer asks to wait, in milliseconds; undefined if it does not say. */
  retryAfterMs: number | undefined
}

/** Larger numbers in Retry-After are no seconds, but a Unix time: Docker Hub sends one. */
const LEAST_UNIX_TIME = 1_000_000_000

/**
 * The pause that an answer asks for; undefined if the answer is no polite refusal. A 503 without Retry-After is a failure.
 * @param now what an HTTP date and a Unix time are compared with
 */
export const pauseIn = ({ status, headers }: { status: number; headers: Headers }, now: Date): Pause | undefined => {
  const retryAfterMs = retryAfterIn(headers.get('retry-after') ?? headers.get('x-retry-after') ?? '', now)
  if (status === 429) return { retryAfterMs }
  return status === 503 && retryAfterMs !== undefined ? { retryAfterMs } : undefined
}

/** Seconds, an HTTP date, or a Unix time, in milliseconds from now. */
const retryAfterIn = (text: string, now: Date): number | undefined => {
  const trimmed = text.trim()
  if (/^\d{1,12}(\.\d{1,9})?$/.test(trimmed)) {
    const seconds = Number(trimmed)
    return seconds < LEAST_UNIX_TIME ? seconds * 1000 : Math.max(0, seconds * 1000 - now.getTime())
  }
  // Every form of an HTTP date begins with the name of a day. Date.parse would take much else for a date.
  const date = /^(mon|tue|wed|thu|fri|sat|sun)/i.test(trimmed) ? Date.parse(trimmed) : NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - now.getTime())
}

const SHORTEST_BACKOFF_MS = 1_000
const LONGEST_BACKOFF_MS = 60_000

/**
 * How long to wait before the next request: as long as the peer asks, and never shorter than without its word. A peer may ask
 * for no pause at all, or for one that ended in the past, again and again.
 * @param refusals in a row, from 1
 * @param random from 0 to 1
 */
export const pauseMs = ({ retryAfterMs = 0 }: Partial<Pause>, refusals: number, random: number): number =>
  Math.max(retryAfterMs, backoffMs(refusals, random))

/**
 * How long to wait if the peer does not say: twice as long after each refusal in a row, at most a minute, and between half and
 * all of that, so that several clients do not return at the same moment.
 * @param refusals in a row, from 1
 * @param random from 0 to 1
 */
const backoffMs = (refusals: number, random: number): number =>
  Math.min(LONGEST_BACKOFF_MS, SHORTEST_BACKOFF_MS * 2 ** (refusals - 1)) * (0.5 + random / 2)
