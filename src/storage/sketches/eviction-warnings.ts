import type { MemoryLimit, SketchStore } from './sketch-store.js'

/** The only policy with which Redis removes no key that is still needed. */
const KEEPS_ALL = 'noeviction'

/**
 * What to say if Redis may remove counters for lack of memory, or has removed keys. The counters have lifetimes, and the key of the
 * installation has none: so with `volatile-…`, a loss of counters does not show otherwise. A Redis that does not answer, or refuses
 * INFO, is reported elsewhere.
 */
export const evictionWarnings = async ({ memoryLimits }: Pick<SketchStore, 'memoryLimits'>): Promise<string[]> => {
  const limits = (await memoryLimits?.().catch(() => [])) ?? []
  return limits.flatMap((limit) => {
    const { maxBytes, policy, evictedKeys } = limit
    if (maxBytes > 0 && policy !== KEEPS_ALL) return [policyWarning(limit)]
    return evictedKeys > 0 ? [evictedWarning(limit)] : []
  })
}

const policyWarning = ({ server, maxBytes, policy, evictedKeys }: MemoryLimit): string =>
  `${nameOf(server)} removes counters if it lacks memory: maxmemory is ${maxBytes} bytes, and maxmemory-policy is ${policy}. ` +
  `Set maxmemory-policy ${KEEPS_ALL}` +
  (evictedKeys > 0 ? `. It removed ${evictedKeys} keys since it started: ${LOSS}` : '')

const evictedWarning = ({ server, evictedKeys }: MemoryLimit): string =>
  `${nameOf(server)} removed ${evictedKeys} keys for lack of memory since it started: ${LOSS}; ` +
  'this warning ends with CONFIG RESETSTAT, or a restart of Redis'

const LOSS =
  'if counters are among them, unique users of weeks and months are too few. Restore a backup of Redis, or import an export with ' +
  'tallyman counters import'

const nameOf = (server: string | undefined): string => (server === undefined ? 'Redis' : `Redis at ${server}`)
