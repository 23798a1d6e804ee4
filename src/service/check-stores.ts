import type { StoreCheck } from '../http/health.js'
import type { Stores } from './stores.js'
import { atMostEvery } from '../runtime/at-most-every.js'
import { within } from '../runtime/timeout.js'

/** The time limit of a readiness check, whose caller needs a quick answer. */
const CHECK_LIMIT_MS = 2_000
/** Readiness checks need no token, so many of them must cause no load. */
const CHECK_EVERY_MS = 1_000

type CheckedStores = Pick<Stores, 'database' | 'sketches'>

/** Requests the version of each store. A store that does not answer in time counts as unavailable. */
export const checkStores = async ({ database, sketches }: CheckedStores): Promise<StoreCheck> => {
  const check = async (version: () => Promise<string>): Promise<StoreCheck[string]> => {
    try {
      return { ok: true, version: await within(CHECK_LIMIT_MS, version()) }
    } catch {
      return { ok: false, error: 'does not answer' }
    }
  }
  const [databaseCheck, sketchesCheck] = await Promise.all([check(database.version), check(sketches.version)])
  return {
    [database.engine]: databaseCheck,
    ...(sketches.name === 'redis' && { redis: sketchesCheck }),
  }
}

/**
 * `checkStores` for many callers: calls within a second share one check.
 * @param elapsed the time of a monotonic clock in milliseconds
 */
export const createStoreCheck = (stores: CheckedStores, elapsed: () => number): (() => Promise<StoreCheck>) =>
  atMostEvery(CHECK_EVERY_MS, async () => checkStores(stores), elapsed)
