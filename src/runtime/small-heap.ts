import { setFlagsFromString } from 'node:v8'

/** Percent by which the heap may grow before objects that are not used any more are looked for. By default it may grow to four times its size. */
const HEAP_GROWTH = 25

/**
 * For a service on the embedded database, whose memory is this process's: under load, objects that are not used any more took
 * 120 MB of it. It costs processor time where a heap is as large as that of tests, so it is not set where the database is opened.
 */
export const keepHeapSmall = (): void => {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH}`)
}
