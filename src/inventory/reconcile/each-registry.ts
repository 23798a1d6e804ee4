import { isStorageUnavailable } from '../../storage/unavailable.js'
import type { Registry } from '../../registries/registries.js'
import { UserError } from '../../runtime/user-error.js'

/** Some of several registries were not reconciled. The message names each with its reason. */
class NotAllReconciled extends UserError {
  override readonly kind = 'upstream'
}

type EachOptions = {
  /** If it is aborted, no further registry is tried. */
  signal: AbortSignal
  /** The reason for an error, for the message. */
  reasonOf: (error: unknown) => string
}

/**
 * Reconciles registries one after the other. If one fails, the others are still reconciled.
 * @throws NotAllReconciled after the last one; the error itself if there is only one registry, if a store is unavailable, or if
 * the signal is aborted
 */
export const reconcileEach = async (
  registries: readonly Registry[],
  reconcileOne: (registry: Registry) => Promise<void>,
  { signal, reasonOf }: EachOptions,
): Promise<void> => {
  const failures: string[] = []
  for (const registry of registries) {
    try {
      await reconcileOne(registry)
    } catch (error) {
      if (registries.length === 1 || signal.aborted || isStorageUnavailable(error)) throw error
      failures.push(`${registry.name}: ${reasonOf(error)}`)
    }
  }
  if (failures.length > 0) throw new NotAllReconciled(`not reconciled: ${failures.join('; ')}`)
}
