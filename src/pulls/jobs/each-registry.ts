import { eachAlone } from '../../storage/each-alone.js'
import { hasCause, isStorageAway } from '../../storage/away.js'
import { isCancelled, isConflict } from '../../storage/database.js'

/** The work for one registry failed; the cause is the reason. */
export class RegistryFailed extends Error {
  override name = 'RegistryFailed'
  constructor(registry: string, cause: unknown) {
    super(`the pulls of ${registry} were left out`, { cause })
  }
}

/** Whether a failure concerns all registries: the database is unavailable, ended the statement, or another process interfered. */
export const concernsAll = (error: unknown): boolean =>
  isStorageAway(error) || hasCause(error, (one) => isCancelled(one) || isConflict(one))

/**
 * Does the same for each item, one after the other. An item that fails is left out, so that no registry stops the others.
 * @throws AggregateError at the end, of all that failed, each with its registry; at once what concerns all registries.
 */
export const eachRegistry = async <T extends { registry: string }>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> =>
  eachAlone(
    items,
    async (item) => {
      try {
        await work(item)
      } catch (error) {
        throw concernsAll(error) ? error : new RegistryFailed(item.registry, error)
      }
    },
    concernsAll,
  )
