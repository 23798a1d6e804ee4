import type { IncomingMessage } from 'node:http'

/** Requests whose bodies may be unfinished at once. Bodies of registries arrive within milliseconds. */
const MOST_UNFINISHED = 256
/** Milliseconds that each body has, however many there are. */
const SHORTEST_PATIENCE = 2_000

type LimitOptions = {
  most?: number
  /** Milliseconds of a clock that only goes forward. */
  elapsed?: () => number
}

/**
 * Bounds the connections that wait for the rest of a body, whoever sends it: a body that is begun and never ends holds a connection
 * until the time limit of the server. If there are too many, the oldest ones are closed, so new requests are always taken.
 * @returns takes note of a request that has just begun
 */
export const limitUnfinished = ({ most = MOST_UNFINISHED, elapsed = () => performance.now() }: LimitOptions = {}): ((
  request: IncomingMessage,
) => void) => {
  /** In the order in which they began, with the time. Complete ones are only waiting for their answers. */
  const unfinished = new Map<IncomingMessage, number>()
  return (request) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    if (encoding === undefined && (length === undefined || length === '0')) return
    const now = elapsed()
    unfinished.set(request, now)
    request.once('close', () => unfinished.delete(request))
    if (unfinished.size <= most) return
    for (const [oldest, begun] of unfinished) {
      if (unfinished.size <= most || now - begun < SHORTEST_PATIENCE) return
      unfinished.delete(oldest)
      if (!oldest.complete) oldest.destroy()
    }
  }
}
