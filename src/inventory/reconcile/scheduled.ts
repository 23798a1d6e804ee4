import type { Database } from '../../storage/database.js'
import type { Registries, Registry } from '../registry/registries.js'
import type { RegistryClient } from '../registry/registry-client.js'
import { askedRegistries } from './asked-registries.js'
import { reconcileRegistry } from './reconcile-registry.js'
import { ReconcileBusy } from './reconcile.js'

type Needs = {
  database: Database
  registries: Registries
  clientFor: (registry: Registry) => RegistryClient
  now: () => Date
  /** Requests a second. */
  rate?: number
  /** Ends it, because the process stops; the next run goes on. */
  signal?: AbortSignal
}

/**
 * Reconciles each registry that can be asked, one after the other. One that another process reconciles already is left out.
 * @param apply whether the inventory is repaired, or the drift only kept for `lastReconciliations`
 * @throws AggregateError with what went wrong, after the others are done
 */
export const scheduledReconcile = async (
  { registries, clientFor, signal, ...needs }: Needs,
  apply: boolean,
): Promise<void> => {
  const failures: Error[] = []
  for (const registry of askedRegistries(registries)) {
    if (signal?.aborted) return
    const options = { apply, signal, rate: needs.rate }
    await reconcileRegistry({ ...needs, client: clientFor(registry) }, registry, options).catch((error: unknown) => {
      if (error instanceof ReconcileBusy || signal?.aborted) return
      const reason = error instanceof Error ? error.message : 'failed'
      failures.push(new Error(`${registry.name}: ${reason}`, { cause: error }))
    })
  }
  if (failures.length > 0) {
    throw new AggregateError(failures, `not reconciled: ${failures.map(({ message }) => message).join('; ')}`)
  }
}
