import { eachAlone } from '../../storage/each-alone.js'
import { hasCause, isStorageUnavailable } from '../../storage/unavailable.js'
import { isCancelled, isConflict, isReadTimeout } from '../../storage/sql/database.js'

/** The work for one registry failed; the cause is the reason. */
export class RegistryFailed extends Error {
  override name = 'RegistryFailed'
  constructor(registry: string, cause: unknown) {
    super(`the pulls of ${registry} were skipped`, { cause })
  }
}

/**
 * Whether a failure concerns all registries: the database is unavailable, or another process interfered. A statement that took too
 * long concerns only its registry, whether the database or the driver ended it: one registry may have more data than others.
 */
export const concernsAll = (error: unknown): boolean =>
  !hasCause(error, (one) => isCancelled(one) || isReadTimeout(one)) &&
  (isStorageUnavailable(error) || hasCause(error, isConflict))

/** The registry with which the last run of a process began. */
export type RegistryTurns = { first?: string }

/** Sorts items by registry. Each run begins with another registry than the previous run, so that a slow one is not always first. */
export const startingAfterLast = <T extends { registry: string }>(items: readonly T[], turns: RegistryTurns): T[] => {
  const { first = '' } = turns
  const sorted = [...items].sort((a, b) => (a.registry < b.registry ? -1 : 1))
  const ordered = [
    ...sorted.filter(({ registry }) => registry > first),
    ...sorted.filter(({ registry }) => registry <= first),
  ]
  if (ordered[0]) turns.first = ordered[0].registry
  return ordered
}

/**
 * Does the work for each item, one after the other. An item that fails is skipped, so that no registry stops the others.
 * @throws AggregateError at the end, with all failures and their registries; at once a failure that concerns all registries
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
