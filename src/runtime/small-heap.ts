import { setFlagsFromString } from 'node:v8'

/** Percent by which the heap may grow before the next garbage collection. By default it may grow to four times its size. */
const HEAP_GROWTH = 25

/**
 * Keeps the heap small, for a service on the embedded database, which shares the memory of this process. Under load, unused objects
 * took 120 MB. This costs processor time for a large heap, such as that of tests, so it is not part of opening the database.
 */
export const keepHeapSmall = (): void => {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH}`)
}
