import { isStorageUnavailable } from '../../storage/unavailable.js'
import type { Database } from '../../storage/sql/database.js'
import type { Registries, Registry } from '../../registries/registries.js'
import type { RegistryClient } from '../../registries/client/registry-client.js'
import { readableRegistries } from './selected-registries.js'
import { AliasNotMoved, reconcileRegistry } from './reconcile-registry.js'
import { ReconcileBusy } from './reconcile.js'
import { reconciledSince } from './reports.js'

type ScheduledReconcileDeps = {
  database: Database
  registries: Registries
  clientFor: (registry: Registry) => RegistryClient
  now: () => Date
  /** Requests per second. */
  rate?: number
  /** Stops the run because the process stops; the next run continues. */
  signal?: AbortSignal
  /** Calls a function after so many milliseconds, unless the returned function is called before. */
  after?: (milliseconds: number, run: () => void) => () => void
}

/** A registry that was not reconciled, with the reason as `cause`. */
class NotReconciled extends Error {}

/** The turn of a registry is over: other registries are next. */
class TurnOver extends Error {}

/**
 * Hours of the turns of one registry. A turn continues the previous one, but reads lists again, and a repository of 500,000
 * tags takes seven hours: so turns become longer.
 */
const TURNS = [1, 2, 4, 8]
const HOURS_IN_ALL = TURNS.reduce((sum, hours) => sum + hours, 0)

/**
 * Reconciles each registry that can be read, in turns. A slow or endless registry delays each of the others by one turn, at
 * first an hour. After 15 hours it is left to the next scheduled time. Registries that were reconciled since the run was due
 * are left out: an unfinished run is called again.
 * @param apply whether the inventory is repaired, or the drift only stored for `lastReconciliations`
 * @param due when the run was due; without it, no registry is left out
 * @returns `later` if another process reconciles a registry, if the data of an alias has not moved yet, or if this process
 * stops: the run is not finished
 * @throws AggregateError with a NotReconciled for each registry that failed, after the others are done. If another process
 * reconciles a registry, its ReconcileBusy is among their causes. If a store is unavailable, the others are not tried.
 */
export const scheduledReconcile = async (
  deps: ScheduledReconcileDeps,
  apply: boolean,
  due?: Date,
): Promise<'done' | 'later'> => {
  const { registries, signal, database } = deps
  const failures: NotReconciled[] = []
  const busy: NotReconciled[] = []
  const reconciled = due && (await reconciledSince(database.sql, { apply, since: due }))
  const queue = readableRegistries(registries)
    .filter(({ name }) => !reconciled?.has(name))
    .map((registry) => ({ registry, turn: 0 }))
  // Registries whose turn is over are added at the end.
  for (const { registry, turn } of queue) {
    if (signal?.aborted) return 'later'
    try {
      await takeTurn(deps, registry, { apply, hours: TURNS[turn] ?? 0, isLast: turn === TURNS.length - 1 })
    } catch (error) {
      if (signal?.aborted) return 'later'
      if (error instanceof TurnOver && turn < TURNS.length - 1) {
        queue.push({ registry, turn: turn + 1 })
        continue
      }
      const reason = error instanceof Error ? error.message : 'failed'
      const failure = new NotReconciled(`${registry.name}: ${reason}`, { cause: error })
      if (error instanceof ReconcileBusy || error instanceof AliasNotMoved) busy.push(failure)
      else failures.push(failure)
      if (isStorageUnavailable(error)) break
    }
  }
  if (failures.length > 0) {
    const messages = failures.map(({ message }) => message).join('; ')
    throw new AggregateError([...failures, ...busy], `not reconciled: ${messages}`)
  }
  return busy.length > 0 ? 'later' : 'done'
}

type Turn = { apply: boolean; hours: number; isLast: boolean }

/** @throws TurnOver when the time of the turn is over; what reconcileRegistry throws */
const takeTurn = async (
  { database, registries, now, clientFor, signal, after = afterTime, rate }: ScheduledReconcileDeps,
  registry: Registry,
  { apply, hours, isLast }: Turn,
): Promise<void> => {
  const turn = new AbortController()
  const cancel = after(hours * 3_600_000, () => {
    turn.abort(new TurnOver(isLast ? TOO_LONG : `${hours} h are over: it continues after the other registries`))
  })
  const either = signal ? AbortSignal.any([signal, turn.signal]) : turn.signal
  try {
    const deps = { database, registries, now, client: clientFor(registry) }
    await reconcileRegistry(deps, registry, { apply, signal: either, rate })
  } finally {
    cancel()
  }
}

const TOO_LONG =
  `it took longer than ${HOURS_IN_ALL} h in all and is left to the next scheduled time; ` +
  '"tallyman inventory reconcile --registry" has no such limit'

const afterTime = (milliseconds: number, run: () => void): (() => void) => {
  const timer = setTimeout(run, milliseconds)
  return () => {
    clearTimeout(timer)
  }
}
