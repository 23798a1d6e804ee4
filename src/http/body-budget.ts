const MEBIBYTE = 1024 * 1024
/**
 * Bytes of all notifications at once. They are parsed one after the other. Beside its bytes a body of 16 MiB then takes 50 MiB
 * of heap if it has events, and 120 MiB at most, as its values are bounded (sources/distribution/notification.ts).
 */
const AT_ONCE = 48 * MEBIBYTE
/** Bytes that only small bodies may take, so that the events of other registries pass beside large ones. */
const FOR_SMALL = 16 * MEBIBYTE
/** Bytes for small bodies of senders that have less than LARGE here in all: no sender can use them up alone. */
const FOR_OTHERS = 8 * MEBIBYTE
/** Bytes from which a body is large. */
const LARGE = MEBIBYTE

/** The bytes of one body, as far as they have arrived. */
export type BodyShare = {
  /** Adds bytes that arrived. @returns false if they are too many at once; the share is then given back. */
  add: (bytes: number) => boolean
  /** Gives all bytes back. To be called once the body is answered, or given up. */
  release: () => void
}

export type BodyBudget = {
  /** @param token the number of the notification token that it came with */
  open: (token: number) => BodyShare
  /** Bytes of all open shares. */
  taken: () => number
}

/**
 * Bounds the memory of notifications that are read, parsed and waiting to be stored, together. Only bytes that arrived count:
 * a length that is merely announced holds nobody up. Of bodies that are too many, the one that adds the next bytes is refused;
 * the others go on, and a body that is alone always fits.
 * @param largestBody bytes of the largest body
 */
export const createBodyBudget = (largestBody: number): BodyBudget => {
  const forAll = Math.max(AT_ONCE, largestBody)
  let taken = 0
  /** There are as many as tokens of the configuration. */
  const takenBy = new Map<number, number>()
  return {
    open: (token) => {
      let size = 0
      const grow = (bytes: number): number => {
        size += bytes
        taken += bytes
        const own = (takenBy.get(token) ?? 0) + bytes
        takenBy.set(token, own)
        return own
      }
      const release = (): void => {
        grow(-size)
      }
      return {
        add: (bytes) => {
          const own = grow(bytes)
          if (taken <= forAll || (size < LARGE && taken <= forAll + FOR_SMALL)) return true
          if (own < LARGE && taken <= forAll + FOR_SMALL + FOR_OTHERS) return true
          release()
          return false
        },
        release,
      }
    },
    taken: () => taken,
  }
}
