import type { IncomingMessage } from 'node:http'

/** The largest number of requests with unfinished bodies. Bodies from registries arrive within milliseconds. */
const MOST_UNFINISHED = 256
/** Milliseconds that each body has at least, however many there are. */
const SHORTEST_PATIENCE = 2_000

type LimitOptions = {
  /** Whether a request has a valid token. Requests without one are closed first. */
  hasToken?: (request: IncomingMessage) => boolean
  most?: number
  /** Milliseconds of a monotonic clock. */
  elapsed?: () => number
}

/**
 * Limits the connections with unfinished bodies: a body that never ends occupies a connection until the time limit of the server. If
 * there are too many, the oldest requests without a valid token are closed, then the oldest of all requests. So new requests are
 * always accepted.
 * @returns a function to call for each request when it begins
 */
export const limitUnfinished = ({
  hasToken = () => false,
  most = MOST_UNFINISHED,
  elapsed = () => performance.now(),
}: LimitOptions = {}): ((request: IncomingMessage) => void) => {
  /** In the order of their beginning. May include complete requests that wait for their answers. */
  const unfinished = new Map<IncomingMessage, { begun: number; isKnown?: boolean }>()
  const closeOldest = (now: number, maySpare: boolean): void => {
    for (const [oldest, entry] of unfinished) {
      if (unfinished.size <= most || now - entry.begun < SHORTEST_PATIENCE) return
      // The token is checked once, and only if there are too many requests.
      if (maySpare && (entry.isKnown ??= hasToken(oldest))) continue
      unfinished.delete(oldest)
      if (!oldest.complete) oldest.destroy()
    }
  }
  return (request) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    if (encoding === undefined && (length === undefined || length === '0')) return
    const now = elapsed()
    unfinished.set(request, { begun: now })
    request.once('close', () => unfinished.delete(request))
    closeOldest(now, true)
    closeOldest(now, false)
  }
}
