const MEBIBYTE = 1024 * 1024
/**
 * Bytes of all notifications in memory. They are parsed one after the other. In addition to its bytes, a body of 16 MiB takes 50 MiB
 * of heap if it contains events. It takes at most 120 MiB, because its values are limited (sources/distribution/envelope.ts).
 */
const AT_ONCE = 48 * MEBIBYTE
/** Additional bytes for small bodies only, so that large bodies do not block the events of other registries. */
const FOR_SMALL = 16 * MEBIBYTE
/** Additional bytes for senders with less than LARGE in total: no single sender can use them up. */
const FOR_OTHERS = 8 * MEBIBYTE
/** A body with at least so many bytes is large. */
const LARGE = MEBIBYTE

/** The bytes of one body that have arrived. */
export type BodyShare = {
  /** Adds arrived bytes. @returns false if the limit is exceeded; then the share is released */
  add: (bytes: number) => boolean
  /** Releases all bytes. To be called after the body was answered, or given up. */
  release: () => void
}

export type BodyBudget = {
  /** @param token the number of the body's notification token */
  open: (token: number) => BodyShare
  /** Bytes of all open shares. */
  taken: () => number
}

/**
 * Limits the total memory of notifications that are being read, parsed or stored. Only arrived bytes count: an announced length
 * does not block other bodies. If the limit is reached, the body that adds the next bytes is refused and the others continue. A
 * single body always fits.
 * @param largestBody bytes of the largest body
 */
export const createBodyBudget = (largestBody: number): BodyBudget => {
  const forAll = Math.max(AT_ONCE, largestBody)
  let taken = 0
  /** Bytes by token. Its size is limited by the number of configured tokens. */
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
