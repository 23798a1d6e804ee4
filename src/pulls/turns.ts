import { setImmediate } from 'node:timers/promises'

/** So long may work go on before others have their turn: a registry waits for one of them. */
const LONGEST_MS = 10

/** A pause to be made between parts of long work. It is none until the last one is too long ago. */
export const createPause = (): (() => Promise<void>) => {
  let since = performance.now()
  return async () => {
    if (performance.now() - since < LONGEST_MS) return
    await setImmediate()
    since = performance.now()
  }
}
