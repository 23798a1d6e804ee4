import type { IncomingMessage } from 'node:http'

/** Requests whose bodies may be unfinished at once. Bodies of registries arrive within milliseconds. */
const MOST_UNFINISHED = 256
/** Milliseconds that each body has, however many there are. */
const SHORTEST_PATIENCE = 2_000

type LimitOptions = {
  /** Whether a request has a valid token. Requests without one are closed first. */
  hasToken?: (request: IncomingMessage) => boolean
  most?: number
  /** Milliseconds of a clock that only goes forward. */
  elapsed?: () => number
}

/**
 * Bounds the connections that wait for the rest of a body, whoever sends it: a body that is begun and never ends holds a connection
 * until the time limit of the server. If there are too many, the oldest requests without a valid token are closed, then the oldest of
 * all, so that new requests are always accepted.
 * @returns takes note of a request that has just begun
 */
export const limitUnfinished = ({
  hasToken = () => false,
  most = MOST_UNFINISHED,
  elapsed = () => performance.now(),
}: LimitOptions = {}): ((request: IncomingMessage) => void) => {
  /** In the order in which they began. Complete ones are only waiting for their answers. */
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
