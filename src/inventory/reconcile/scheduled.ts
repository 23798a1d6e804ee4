import { isStorageAway } from '../../storage/away.js'
import type { Database } from '../../storage/database.js'
import type { Registries, Registry } from '../registry/registries.js'
import type { RegistryClient } from '../registry/registry-client.js'
import { askedRegistries } from './asked-registries.js'
import { reconcileRegistry } from './reconcile-registry.js'
import { ReconcileBusy } from './reconcile.js'
import { reconciledSince } from './reports.js'

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

/** A registry that was not reconciled, with the reason as `cause`. */
class NotReconciled extends Error {}

/**
 * Reconciles each registry that can be asked, one after the other. Those that were reconciled since the run was due are left
 * out: a run that could not be finished is called again.
 * @param apply whether the inventory is repaired, or the drift only kept for `lastReconciliations`
 * @param due when the run was due; without it, no registry is left out
 * @returns `later` if another process reconciles a registry, or if this process stops: the run is not finished
 * @throws AggregateError with a NotReconciled for each registry that failed, after the others are done. If another process
 * reconciles a registry, its ReconcileBusy is among their causes. If a store does not answer, the others are not tried.
 */
export const scheduledReconcile = async (
  { registries, clientFor, signal, ...needs }: Needs,
  apply: boolean,
  due?: Date,
): Promise<'done' | 'later'> => {
  const failures: NotReconciled[] = []
  const busy: NotReconciled[] = []
  const reconciled = due && (await reconciledSince(needs.database.sql, { apply, since: due }))
  for (const registry of askedRegistries(registries).filter(({ name }) => !reconciled?.has(name))) {
    if (signal?.aborted) return 'later'
    const options = { apply, signal, rate: needs.rate }
    try {
      await reconcileRegistry({ ...needs, client: clientFor(registry) }, registry, options)
    } catch (error) {
      if (signal?.aborted) return 'later'
      const reason = error instanceof Error ? error.message : 'failed'
      const failure = new NotReconciled(`${registry.name}: ${reason}`, { cause: error })
      if (error instanceof ReconcileBusy) busy.push(failure)
      else failures.push(failure)
      if (isStorageAway(error)) break
    }
  }
  if (failures.length > 0) {
    const messages = failures.map(({ message }) => message).join('; ')
    throw new AggregateError([...failures, ...busy], `not reconciled: ${messages}`)
  }
  return busy.length > 0 ? 'later' : 'done'
}
