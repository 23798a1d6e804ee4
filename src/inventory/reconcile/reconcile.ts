import { randomUUID } from 'node:crypto'
import type { Database } from '../../storage/database.js'
import { releaseLease, takeLease } from '../../storage/leases.js'
import { RegistryAway } from '../registry/exchange.js'
import type { RegistryClient } from '../registry/registry-client.js'
import { createKnownContents } from './contents.js'
import { livingRepositories } from './held.js'
import { oneRepository, repairHeldBack, type Walk } from './one-repository.js'
import { createPace, type Pace } from './pace.js'
import { reportOf, type ReconciliationReport } from './reports.js'
import { beginRun, finishRun } from './runs.js'
import { createVanishing } from './vanishing.js'
import { allNames, type BlobChecks } from './walk.js'

/** A registry is reconciled already. The message says what to do. */
export class ReconcileBusy extends Error {}

/** How far a run is. */
export type Progress = {
  registry: string
  /** The one that is walked now. */
  repository: string
  /** Repositories that are done, of how many. */
  done: number
  of: number
  requests: number
  /** Differences that this process found. */
  drift: number
}

export type ReconcileOptions = {
  /** The registry's name in the inventory. */
  registry: string
  /** Repairs the inventory; else the drift is only shown. */
  apply: boolean
  /** Forgets a run that broke off, and begins again. */
  restart?: boolean | undefined
  /** Repairs also where the registry lacks more than half of its tags. */
  force?: boolean | undefined
  /** Requests a second. */
  rate?: number | undefined
  blobChecks?: BlobChecks | undefined
  /** Reads also manifests whose contents are known, and compares their sizes and media types. */
  reread?: boolean | undefined
  /** Stops the run between two requests; it can go on later. */
  signal?: AbortSignal | undefined
  onProgress?: ((progress: Progress) => void) | undefined
}

export type ReconcileNeeds = {
  database: Database
  client: RegistryClient
  now: () => Date
  /** How far the clocks of registries may be behind or ahead of ours. */
  toleranceMs?: number
}

const DEFAULT_RATE = 20
const AT_ONCE = 4
/** The lease outlives a pause of the process, and a crash not for long. */
const LEASE_SECONDS = 60
const LEASE_RENEWAL_MS = 15_000
/** A registry that fails for so many repositories in a row is away, and more requests would not help it. */
const FAILURES_IN_A_ROW = 5

/**
 * Compares the inventory of one registry with the registry itself, repository by repository, and repairs it where it is told
 * to. A run that broke off goes on where it was.
 * @throws ReconcileBusy when another run is under way; RegistryAway when the registry is away; TooMuchGone when a repair would
 * delete most of it from the inventory; the signal's reason
 */
export const reconcile = async (needs: ReconcileNeeds, options: ReconcileOptions): Promise<ReconciliationReport> => {
  const stopping = new AbortController()
  const stop = (): void => {
    stopping.abort(options.signal?.reason)
  }
  options.signal?.throwIfAborted()
  options.signal?.addEventListener('abort', stop)
  const lease = await holdLease(needs.database, options.registry, (error) => {
    stopping.abort(error)
  })
  try {
    return await run(needs, options, stopping.signal)
  } finally {
    options.signal?.removeEventListener('abort', stop)
    await lease.release()
  }
}

const run = async (
  needs: ReconcileNeeds,
  { registry, apply, restart = false, force = false, rate = DEFAULT_RATE, ...options }: ReconcileOptions,
  signal: AbortSignal,
): Promise<ReconciliationReport> => {
  const { database, now } = needs
  const begun = await beginRun(database, { registry, apply, restart, now: now() })
  const pace = createPace({ rate, atOnce: AT_ONCE, signal })
  const repositories = await repositoriesToWalk(needs, pace, registry)
  const contents = createKnownContents(database.sql)
  const vanishing = await createVanishing(database.sql, { registry, done: begun.done, force })
  const walk: Walk = { ...needs, ...options, registry, apply, pace, contents, vanishing, signal, begun, heldBack: [] }
  let drift = 0
  let done = repositories.filter((repository) => begun.done.has(repository)).length
  const tell = (repository: string): void =>
    options.onProgress?.({ registry, repository, done, of: repositories.length, requests: pace.asked(), drift })

  /** @returns what the registry said when it was away for too many of them; the rest was not walked then */
  const walkAll = async (some: readonly string[]): Promise<RegistryAway | undefined> => {
    let failures = 0
    for (const repository of some) {
      tell(repository)
      const { result, failure } = await oneRepository(walk, repository)
      drift += result.missing + result.stale + result.different
      failures = failure instanceof RegistryAway ? failures + 1 : 0
      if (failure instanceof RegistryAway && failures >= FAILURES_IN_A_ROW) return failure
      if (vanishing.isHarmless()) await repairHeldBack(walk)
      done++
    }
    return undefined
  }
  const away = await walkAll(repositories.filter((name) => !begun.done.has(name) && !begun.failed.has(name)))
  if (away) throw away
  // Those that failed before come last and end nothing: else what can never be read would keep a run from its end.
  await walkAll(repositories.filter((name) => begun.failed.has(name)))
  await repairHeldBack(walk)
  tell('')
  await finishRun(database, begun, now())
  return reportOf(database.sql, begun.id)
}

/** Those that the registry lists, and those of which only the inventory knows. */
const repositoriesToWalk = async (
  { database, client }: ReconcileNeeds,
  { ask }: Pace,
  registry: string,
): Promise<string[]> => {
  const listed = await allNames(async (next) => ask(async () => client.catalog(next)))
  return [...new Set([...listed, ...(await livingRepositories(database.sql, registry))])]
}

/** Holds the lease of a registry until it is released. @param onLost is told when somebody else has taken it */
const holdLease = async (
  database: Database,
  registry: string,
  onLost: (error: Error) => void,
): Promise<{ release: () => Promise<void> }> => {
  const [name, holder] = [`reconcile ${registry}`, randomUUID()]
  const take = async (): Promise<boolean> => takeLease(database, name, holder, LEASE_SECONDS)
  const busy = (): ReconcileBusy =>
    new ReconcileBusy(
      `${registry} is being reconciled by another process; wait until it has finished, or, if that one has crashed, ` +
        `${LEASE_SECONDS} s for its lease to end`,
    )
  if (!(await take())) throw busy()
  const renewal = setInterval(() => {
    // A database that is away will be told by the run itself.
    void take().then(
      (taken) => {
        if (!taken) onLost(busy())
      },
      () => undefined,
    )
  }, LEASE_RENEWAL_MS)
  renewal.unref()
  return {
    release: async () => {
      clearInterval(renewal)
      // A database that is away will end the lease by itself.
      await releaseLease(database, name, holder).catch(() => undefined)
    },
  }
}
