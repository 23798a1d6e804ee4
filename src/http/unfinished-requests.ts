import type { IncomingMessage } from 'node:http'

/** Requests whose bodies may be unfinished at once. Bodies of registries arrive within milliseconds. */
const MOST_UNFINISHED = 256
/** Milliseconds that each body has, however many there are. */
const SHORTEST_PATIENCE = 2_000

type LimitOptions = {
  /** Whether a request has a valid token. Those of others are closed first. */
  hasToken?: (request: IncomingMessage) => boolean
  most?: number
  /** Milliseconds of a clock that only goes forward. */
  elapsed?: () => number
}

/**
 * Bounds the connections that wait for the rest of a body, whoever sends it: a body that is begun and never ends holds a connection
 * until the time limit of the server. If there are too many, the oldest ones without a valid token are closed, and at last the oldest
 * ones, so new requests are always taken.
 * @returns takes note of a request that has just begun
 */
export const limitUnfinished = ({
  hasToken = () => false,
  most = MOST_UNFINISHED,
  elapsed = () => performance.now(),
}: LimitOptions = {}): ((request: IncomingMessage) => void) => {
  /** In the order in which they began. Complete ones are only waiting for their answers. */
  const unfinished = new Map<IncomingMessage, { begun: number; mayGoFirst?: boolean }>()
  const close = (now: number, isToClose: (request: IncomingMessage) => boolean): void => {
    for (const [oldest, { begun }] of unfinished) {
      if (unfinished.size <= most || now - begun < SHORTEST_PATIENCE) return
      if (!isToClose(oldest)) continue
      unfinished.delete(oldest)
      if (!oldest.complete) oldest.destroy()
    }
  }
  const isStrangers = (request: IncomingMessage): boolean => {
    const known = unfinished.get(request)
    return known ? (known.mayGoFirst ??= !hasToken(request)) : false
  }
  return (request) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    if (encoding === undefined && (length === undefined || length === '0')) return
    const now = elapsed()
    unfinished.set(request, { begun: now })
    request.once('close', () => unfinished.delete(request))
    close(now, isStrangers)
    close(now, () => true)
  }
}
