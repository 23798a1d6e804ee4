import { setImmediate } from 'node:timers/promises'

/** Milliseconds that work may continue before the event loop turns: a registry waits for an answer. */
const LONGEST_MS = 10

/**
 * Creates a pause for use between parts of long work. During a pause the event loop turns once, so that sockets and timers are
 * served. A pause does nothing if the previous one is less than `longestMs` ago.
 */
export const createPause = (longestMs = LONGEST_MS): (() => Promise<void>) => {
  let since = performance.now()
  return async () => {
    if (performance.now() - since < longestMs) return
    await setImmediate()
    since = performance.now()
  }
}
