import type { StoreCheck } from '../http/health.js'
import type { Stores } from './stores.js'
import { within } from '../runtime/timeout.js'

/** The time limit of a readiness check, whose caller needs a quick answer. */
const CHECK_LIMIT_MS = 2_000

/** Requests the version of each store. A store that does not answer in time counts as unavailable. */
export const checkStores = async ({
  database,
  sketches,
}: Pick<Stores, 'database' | 'sketches'>): Promise<StoreCheck> => {
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
