/** A server refuses a request for now, but the client may repeat it later (RFC 6585, 429; RFC 9110, 503 with Retry-After). */
export type Pause = {
  /** The requested pause in milliseconds; undefined if the server requests none. */
  retryAfterMs: number | undefined
}

/** A larger number in Retry-After is a Unix time and no number of seconds: Docker Hub sends a Unix time. */
const LEAST_UNIX_TIME = 1_000_000_000

/**
 * The pause that an answer requests; undefined if the answer does not ask for a pause. A 503 without Retry-After is a failure.
 * @param now the current time, from which an HTTP date and a Unix time are counted
 */
export const pauseIn = ({ status, headers }: { status: number; headers: Headers }, now: Date): Pause | undefined => {
  const retryAfterMs = retryAfterIn(headers.get('retry-after') ?? headers.get('x-retry-after') ?? '', now)
  if (status === 429) return { retryAfterMs }
  return status === 503 && retryAfterMs !== undefined ? { retryAfterMs } : undefined
}

/** Reads a number of seconds, an HTTP date, or a Unix time, and returns the milliseconds from now. */
const retryAfterIn = (text: string, now: Date): number | undefined => {
  const trimmed = text.trim()
  if (/^\d{1,12}(\.\d{1,9})?$/.test(trimmed)) {
    const seconds = Number(trimmed)
    return seconds < LEAST_UNIX_TIME ? seconds * 1000 : Math.max(0, seconds * 1000 - now.getTime())
  }
  // Every form of an HTTP date begins with the name of a day. Without this check, Date.parse would accept many other texts as
  // dates.
  const date = /^(mon|tue|wed|thu|fri|sat|sun)/i.test(trimmed) ? Date.parse(trimmed) : NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - now.getTime())
}

const SHORTEST_BACKOFF_MS = 1_000
const LONGEST_BACKOFF_MS = 60_000

/**
 * How long to wait before the next request: the requested pause, but at least the pause of `backoffMs`. A server may repeatedly
 * request a pause of zero, or one that ended in the past.
 * @param refusals the number of consecutive refusals, from 1
 * @param random from 0 to 1
 */
export const pauseMs = ({ retryAfterMs = 0 }: Partial<Pause>, refusals: number, random: number): number =>
  Math.max(retryAfterMs, backoffMs(refusals, random))

/**
 * How long to wait if the server requests no pause. The time doubles with each consecutive refusal, up to a minute. A random
 * factor between a half and one keeps several clients from returning at the same moment.
 * @param refusals the number of consecutive refusals, from 1
 * @param random from 0 to 1
 */
const backoffMs = (refusals: number, random: number): number =>
  Math.min(LONGEST_BACKOFF_MS, SHORTEST_BACKOFF_MS * 2 ** (refusals - 1)) * (0.5 + random / 2)
