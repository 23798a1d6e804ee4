import { randomUUID } from 'node:crypto'
import type { Database } from '../../storage/sql/database.js'
import { messageOf } from '../../runtime/error-message.js'
import { holdLease, LeaseTaken } from '../../storage/sql/leases.js'
import { RegistryUnavailable, RegistryBusy } from '../../registries/client/exchange.js'
import { ListTooLarge } from '../../registries/client/list-pages.js'
import type { RegistryClient } from '../../registries/client/registry-client.js'
import { allNames } from './all-names.js'
import { countNotChecked } from './cache.js'
import { createKnownContents } from './known-contents.js'
import { livingRepositories } from './recorded-state.js'
import { reconcileRepository, repairDeferred, type Walk } from './reconcile-repository.js'
import { createPace, type Pace, type Timing } from './pace.js'
import { reportOf, type ReconciliationReport } from './reports.js'
import { beginRun, finishRun, noteStop, type ReconcileRun } from './runs.js'
import { createMassDeletionGuard } from './mass-deletion-guard.js'
import type { BlobChecks } from './read-repository.js'

/** A registry is being reconciled already. The message explains what to do. */
export class ReconcileBusy extends LeaseTaken {}

/** How far a run has come. */
export type Progress = {
  registry: string
  /** The repository that is being compared. */
  repository: string
  /** Repositories that are done; `of` is their total number. */
  done: number
  of: number
  requests: number
  /** Differences that this process found. */
  drift: number
  /** What the operator should know before the first request. */
  notice?: string
  /** The registry asks to slow down: the run continues in so many seconds. */
  pausedSeconds?: number
}

export type ReconcileOptions = {
  /** The name of the registry in the inventory. */
  registry: string
  /** Repairs the inventory; otherwise the drift is only reported. */
  apply: boolean
  /** The registry is a pull-through cache: only its catalog is read. */
  cache?: boolean | undefined
  /** For the first progress. */
  notice?: string | undefined
  /** Discards an interrupted run, and starts a new one. */
  restart?: boolean | undefined
  /** Repairs even if the registry lacks more than half of its tags, or of its manifests if it had only a few tags. */
  force?: boolean | undefined
  /** Requests a second. */
  rate?: number | undefined
  blobChecks?: BlobChecks | undefined
  /** Also reads manifests whose contents are known, and compares their sizes and media types. */
  reread?: boolean | undefined
  /** Stops the run between two requests; it can be continued later. */
  signal?: AbortSignal | undefined
  onProgress?: ((progress: Progress) => void) | undefined
}

export type ReconcileDeps = {
  database: Database
  client: RegistryClient
  now: () => Date
  /** How far the clocks of registries may be behind or ahead of the clock of the service. */
  toleranceMs?: number
  timing?: Timing
}

const DEFAULT_RATE = 20
const AT_ONCE = 4
/** The lease survives a short pause of the process, and expires soon after a crash. */
const LEASE_SECONDS = 60
/** If a registry fails for so many repositories in a row, it is unavailable, and more requests would not help. */
const FAILURES_IN_A_ROW = 5

/**
 * Compares the inventory of one registry with the registry itself, repository by repository, and repairs it if `apply` is set. An
 * interrupted run continues where it stopped.
 * @throws ReconcileBusy if another process reconciles the registry; RegistryUnavailable if the registry does not answer, or asks
 * for a longer pause than a run waits; MassDeletionRefused if a repair would delete most of the registry from the inventory; the
 * reason of the signal
 */
export const reconcile = async (deps: ReconcileDeps, options: ReconcileOptions): Promise<ReconciliationReport> => {
  const stopping = new AbortController()
  const stop = (): void => {
    stopping.abort(options.signal?.reason)
  }
  options.signal?.throwIfAborted()
  options.signal?.addEventListener('abort', stop)
  const busy = new ReconcileBusy(
    `${options.registry} is being reconciled by another process; wait until it has finished, or, if that one has crashed, ` +
      `${LEASE_SECONDS} s for its lease to end`,
  )
  const lease = await holdLease(deps.database, `reconcile ${options.registry}`, {
    holder: randomUUID(),
    seconds: LEASE_SECONDS,
    onLost: () => {
      stopping.abort(busy)
    },
  })
  try {
    if (!lease) throw busy
    const { database, now } = deps
    const { registry, apply, restart = false } = options
    const begun = await beginRun(database, { registry, apply, restart, now: now() })
    return await run(deps, options, { begun, signal: stopping.signal }).catch(async (error: unknown) => {
      // Without the lease, another process may continue the same run.
      const hasLease = stopping.signal.reason !== busy
      // The original error is more useful than a failure to store it.
      if (hasLease) await noteStop(database, begun, { because: messageOf(error), now: now() }).catch(() => undefined)
      throw error
    })
  } finally {
    options.signal?.removeEventListener('abort', stop)
    await lease?.release()
  }
}

const run = async (
  deps: ReconcileDeps,
  { registry, apply, cache = false, force = false, rate = DEFAULT_RATE, ...options }: ReconcileOptions,
  { begun, signal }: { begun: ReconcileRun; signal: AbortSignal },
): Promise<ReconciliationReport> => {
  const { database, now } = deps
  let [current, done, of, drift] = ['', 0, 0, 0]
  let notice = options.notice !== undefined && { notice: options.notice }
  const report = (repository: string, pauseMs = 0): void => {
    current = repository
    const pausedSeconds = Math.ceil(pauseMs / 1000)
    const paused = pausedSeconds > 0 && { pausedSeconds }
    options.onProgress?.({ registry, repository, done, of, requests: pace.requestCount(), drift, ...notice, ...paused })
    notice = false
  }
  const pace = createPace({
    rate,
    atOnce: AT_ONCE,
    signal,
    onPause: (ms) => {
      report(current, ms)
    },
    timing: deps.timing,
  })
  if (notice) report('')
  const readFrom = now()
  const catalog = await readCatalog(deps, pace)
  const living = await livingRepositories(database.sql, registry)
  // An endless catalog is not trusted: no repository counts as absent, and every repository of the inventory is read.
  const listed = 'names' in catalog ? catalog.names : living
  // For a cache, only repositories of the inventory matter: others would have to be fetched.
  const repositories = cache ? living : [...new Set([...listed, ...living])]
  const contents = createKnownContents(database.sql, registry)
  const vanishing = await createMassDeletionGuard(database.sql, { registry, done: begun.done, force })
  const shared = { registry, apply, pace, contents, vanishing, signal, begun, deferred: [] }
  const walk: Walk = {
    ...deps,
    ...options,
    ...shared,
    ...(cache && { cache: { repositories: new Set(listed), readFrom } }),
  }
  done = repositories.filter((repository) => begun.done.has(repository)).length
  of = repositories.length

  /**
   * @returns the error of the registry if it was unavailable for too many repositories in a row; then the remaining repositories
   * were not compared
   */
  const walkAll = async (some: readonly string[]): Promise<RegistryUnavailable | undefined> => {
    let failures = 0
    for (const repository of some) {
      report(repository)
      const { result, failure } = await reconcileRepository(walk, repository)
      drift += result.missing + result.stale + result.different
      failures = failure instanceof RegistryUnavailable ? failures + 1 : 0
      const isAway = failure instanceof RegistryBusy || failures >= FAILURES_IN_A_ROW
      if (failure instanceof RegistryUnavailable && isAway) return failure
      if (vanishing.isHarmless()) await repairDeferred(walk)
      done++
    }
    return undefined
  }
  const unavailable = await walkAll(repositories.filter((name) => !begun.done.has(name) && !begun.failed.has(name)))
  if (unavailable) throw unavailable
  // Repositories that failed before come last, and do not end the run: a repository that can never be read would keep a run
  // from finishing.
  const busy = await walkAll(repositories.filter((name) => begun.failed.has(name)))
  if (busy instanceof RegistryBusy) throw busy
  vanishing.end()
  await repairDeferred(walk)
  report('')
  const notChecked = cache ? await countNotChecked(database.sql, registry, listed) : undefined
  await finishRun(database, begun, now(), { notChecked, catalogError: catalog.error })
  return reportOf(database.sql, begun.id)
}

/** Reads the catalog, or returns why it was not read to its end. */
const readCatalog = async (
  { client, timing }: ReconcileDeps,
  { send }: Pace,
): Promise<{ names: string[]; error?: undefined } | { error: string }> => {
  try {
    return { names: await allNames('repositories', async (next) => send(async () => client.catalog(next)), timing) }
  } catch (error) {
    if (error instanceof ListTooLarge) return { error: error.message }
    throw error
  }
}
