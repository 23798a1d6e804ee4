import { setImmediate } from 'node:timers/promises'

/** Milliseconds that work may go on before the event loop turns: a registry waits for an answer. */
const LONGEST_MS = 10

/**
 * A pause to be made between parts of long work. In a pause the event loop turns once, so that sockets and timers are served.
 * A pause takes no time until the last one is more than `longestMs` ago.
 */
export const createPause = (longestMs = LONGEST_MS): (() => Promise<void>) => {
  let since = performance.now()
  return async () => {
    if (performance.now() - since < longestMs) return
    await setImmediate()
    since = performance.now()
  }
}
