import type { Folded } from './state.js'
import { MOST_IN_ONE, type OpenAside, type OpenInvocation } from './open-invocation.js'

/**
 * The bytes that an answer adds to what takes the blob. A whole blob counts once, however often it is requested; parts of a blob
 * (206) add up until the whole was answered.
 * @param isTaken whether the blob was taken before.
 */
export const addedBytes = (
  to: OpenInvocation | OpenAside,
  { status, bytes = 0 }: Folded,
  digest: string,
  isTaken: boolean,
): number => {
  const before = to.parts?.[digest]
  if (isTaken && before === undefined) return 0
  if (status !== 206) {
    if (before === undefined) return bytes
    const parts = Object.entries(to.parts ?? {}).filter(([other]) => other !== digest)
    to.parts = parts.length === 0 ? undefined : Object.fromEntries(parts)
    return Math.max(0, bytes - before)
  }
  if (before !== undefined || Object.keys(to.parts ?? {}).length < MOST_IN_ONE)
    to.parts = { ...to.parts, [digest]: (before ?? 0) + bytes }
  return bytes
}
