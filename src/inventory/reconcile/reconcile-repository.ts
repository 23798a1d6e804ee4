import { microsOf } from '../../events/calendar.js'
import { isStorageUnavailable } from '../../storage/unavailable.js'
import type { Database } from '../../storage/sql/database.js'
import { BeingMoved } from '../model/moving.js'
import { arrivalAt } from '../record/state-times.js'
import type { RegistryClient } from '../../registries/client/registry-client.js'
import { applyFound } from './apply.js'
import { foundInCache, shownSince } from './cache.js'
import type { KnownContents } from './known-contents.js'
import { driftOf, type Difference, type DriftKind } from './drift.js'
import { filledBy, NOTHING_FILLED, type Filled } from './filled.js'
import { readDescribed, readRecordedState, type RecordedState } from './recorded-state.js'
import type { Pace, Timing } from './pace.js'
import { storeRepositoryResult, type RepositoryResult, type ReconcileRun, type RunCounts } from './runs.js'
import type { MassDeletionGuard, LossCounts } from './mass-deletion-guard.js'
import { readUntrustedTimes, type UntrustedTimes } from './untrusted-times.js'
import { nothingAt, walkRepository, type BlobChecks, type Found } from './read-repository.js'

const TOLERANCE_MS = 5_000
/**
 * Later times cannot be true. Only older versions stored times in the future. A time that is less far ahead is soon in the
 * past, and the clocks of services that share a database may differ.
 */
const FUTURE_MS = 2 * 60 * 60_000

/** The catalog of a pull-through cache. A run reads nothing else from a cache. */
type CacheCatalog = {
  repositories: ReadonlySet<string>
  /** The moment before the first request for the catalog: the catalog does not contain repositories that were pulled later. */
  readFrom: Date
}

/** A run in progress. */
export type Walk = {
  database: Database
  client: RegistryClient
  now: () => Date
  /** How far the clocks of registries may be behind or ahead of the clock of the service. */
  toleranceMs?: number
  timing?: Timing
  registry: string
  apply: boolean
  blobChecks?: BlobChecks | undefined
  reread?: boolean | undefined
  /** Missing for a registry whose repositories are read. */
  cache?: CacheCatalog
  pace: Pace
  contents: KnownContents
  vanishing: MassDeletionGuard
  signal: AbortSignal
  begun: ReconcileRun
  /** Repairs that delete objects. They are deferred until it is certain that the registry has not lost most of its objects. */
  deferred: (() => Promise<unknown>)[]
}
type RepositoryOutcome = { result: RepositoryResult; failure?: unknown }
type Compared = {
  found: Found
  recorded: RecordedState
  drift: readonly Difference[]
  filled: Filled
  untrusted: UntrustedTimes
  /** Whether the registry listed the tags of the repository. Tallyman does not request the tags of a pull-through cache. */
  isComplete: boolean
}

/**
 * Compares one repository with the registry, repairs it if `apply` is set, and stores the result. A repository that cannot be
 * read or repaired does not affect others.
 * @throws MassDeletionRefused; the reason of the signal; the error of an unavailable store, so that the run can continue later
 */
export const reconcileRepository = async (walk: Walk, repository: string): Promise<RepositoryOutcome> => {
  const { pace, signal } = walk
  const before = pace.requestCount()
  const compared = await compare(walk, repository).catch((failure: unknown) => ({ failure }))
  signal.throwIfAborted()
  const requests = pace.requestCount() - before
  if ('failure' in compared) return keepFailure(walk, repository, requests, compared.failure)
  const { found, recorded, drift, untrusted, filled } = compared
  const result = { repository, ...countByKind(drift), differences: drift }
  const seen = seenIn(found, filled, requests)
  if (!walk.apply) return keepResult(walk, result, seen)

  const gone = drift.filter(({ kind }) => kind === 'stale')
  walk.vanishing.add(countLosses({ found, recorded, gone, isNotRequested: isNotRequested(walk, repository) }))
  const repair = async (some: Compared): Promise<RepositoryOutcome> => {
    const failed = await applyFound(walk.database, { registry: walk.registry, repository }, some.found, some).then(
      () => undefined,
      (failure: unknown) => ({ failure }),
    )
    return failed ? keepFailure(walk, repository, requests, failed.failure) : { result }
  }
  if (gone.length === 0 || walk.vanishing.isHarmless()) {
    const outcome = await repair(compared)
    return 'failure' in outcome ? outcome : keepResult(walk, result, seen)
  }
  const outcome = await repair({ ...compared, drift: drift.filter(({ kind }) => kind !== 'stale') })
  if ('failure' in outcome) return outcome
  const stale = {
    ...{ found: nothingAt(found.at), recorded, untrusted, filled: NOTHING_FILLED, isComplete: false },
    drift: gone,
  }
  walk.deferred.push(async () => {
    if (!('failure' in (await repair(stale)))) await keepResult(walk, result, seen)
  })
  return outcome
}

/** How many objects of a repository the registry has lost and kept. */
const countLosses = ({
  found,
  recorded,
  gone,
  isNotRequested,
}: Pick<Compared, 'found' | 'recorded'> & { gone: readonly Difference[]; isNotRequested: boolean }): LossCounts => {
  const countGone = (wanted: Difference['object']): number => gone.filter(({ object }) => object === wanted).length
  const countKept = (
    inInventory: ReadonlyMap<string, { live: boolean }>,
    there: ReadonlyMap<string, unknown>,
  ): number => [...inInventory].filter(([name, { live }]) => live && (isNotRequested || there.has(name))).length
  return {
    tags: { gone: countGone('tag'), kept: countKept(recorded.tags, found.tags) },
    manifests: { gone: countGone('manifest'), kept: countKept(recorded.manifests, found.manifests) },
  }
}

/** Marks objects as deleted whose repair was deferred. */
export const repairDeferred = async ({ deferred, signal }: Walk): Promise<void> => {
  for (const repair of deferred.splice(0)) {
    signal.throwIfAborted()
    await repair()
  }
}

/** Whether a cache lists the repository: then nothing in it can be requested. */
const isNotRequested = ({ cache }: Walk, repository: string): boolean => cache?.repositories.has(repository) ?? false

const compare = async (walk: Walk, repository: string): Promise<Compared> => {
  const { database, registry } = walk
  const firstRequestAt = walk.cache?.readFrom ?? walk.now()
  const found = await readFound(walk, repository, firstRequestAt)
  const read = [...found.manifests].flatMap(([digest, manifest]) => (manifest ? [digest] : []))
  const recorded = await readRecordedState(database.sql, registry, repository)
  if (recorded.isMoving) throw new BeingMoved(repository)
  const latest = microsOf(new Date(walk.now().getTime() + FUTURE_MS))
  const untrusted = await readUntrustedTimes(database.sql, {
    from: found.at,
    startedAt: arrivalAt(firstRequestAt),
    latest,
  })
  // A repository that was not read has no drift: its empty list of tags would make all tags stale.
  const described = await readDescribed(database.sql, read)
  const drift = isNotRequested(walk, repository) ? [] : driftOf(found, recorded, described, untrusted)
  const filled = filledBy(found, recorded, described)
  return { found, recorded, drift, filled, untrusted, isComplete: walk.cache === undefined }
}

const seenIn = ({ tags, manifests, blobs, unchecked }: Found, filled: Filled, requests: number): RunCounts => ({
  tags: tags.size,
  manifests: manifests.size,
  blobs: blobs.size,
  unchecked,
  requests,
  filled,
})

const keepResult = async (
  { database, begun, now }: Walk,
  result: RepositoryResult,
  seen: RunCounts,
): Promise<RepositoryOutcome> => {
  await storeRepositoryResult(database, begun, result, seen, microsOf(now()))
  return { result }
}

const keepFailure = async (
  walk: Walk,
  repository: string,
  requests: number,
  failure: unknown,
): Promise<RepositoryOutcome> => {
  if (isStorageUnavailable(failure)) throw failure
  const error = failure instanceof Error ? failure.message : 'failed'
  const result = { repository, missing: 0, stale: 0, different: 0, differences: [], error }
  const none = { tags: 0, manifests: 0, blobs: 0, unchecked: 0, requests, filled: NOTHING_FILLED }
  return { ...(await keepResult(walk, result, none)), failure }
}

const readFound = async (walk: Walk, repository: string, firstRequestAt: Date): Promise<Found> => {
  const { database, registry, toleranceMs = TOLERANCE_MS, blobChecks = 'doubtful', reread = false } = walk
  const recorded = async (): ReturnType<typeof readRecordedState> =>
    readRecordedState(database.sql, registry, repository)
  const at = microsOf(new Date(firstRequestAt.getTime() - toleranceMs))
  if (walk.cache) {
    const stored = await recorded()
    const shown = await shownSince(database.sql, { registry, repository, at })
    return foundInCache(isNotRequested(walk, repository), stored, at, shown)
  }
  return walkRepository({ ...walk, pace: walk.pace.together(), recorded, blobChecks, reread }, repository, at)
}

const countByKind = (drift: readonly Difference[]): Record<DriftKind, number> => {
  const counts = { missing: 0, stale: 0, different: 0 }
  for (const { kind } of drift) counts[kind]++
  return counts
}
