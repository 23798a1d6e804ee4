import { sql } from 'kysely'
import type { Micros } from '../../events/calendar.js'
import { awaitedByCommit, type Database, type Sql, type Transaction } from '../../storage/sql/database.js'
import { createStepSizes, doStep, partOf, type StepSizes } from '../../storage/sql/step-sizes.js'
import type { JoinWindows } from '../model/join-windows.js'
import { PENDING_REGISTRIES } from '../requests/pending-registries.js'
import { requestedManifests, missingOrigins, chainsFor, openManifests } from './batch-inputs.js'
import { createByOrigin } from './by-origin.js'
import { lookUpAhead, type LookedUp } from './look-up-heads.js'
import { deleteClosedChains, loadChains, saveChains } from './chains.js'
import { foldBatch, type Chains } from './fold-batch.js'
import { eachRegistry, startingAfterLast, type RegistryTurns } from './each-registry.js'
import { createKnownManifests } from './known-manifests.js'
import { createLastUses } from './last-uses.js'
import { saveOutcomes } from './save-outcomes.js'
import { createShare } from './share.js'
import { lockNumbers, takeRequests, type TakenRequests } from './take-requests.js'
import { createBlobReports } from './blob-reports.js'
import { createTotals } from './totals.js'
import { foldableUntil, setFoldedTo, watermarkOf } from './watermark.js'

type FoldPendingDeps = {
  database: Database
  windows: JoinWindows
  /** How late a request may arrive, relative to the newest one of its registry, and still count; in microseconds. */
  lateness: Micros
  now: () => Date
  /** Called in each transaction with the counts of what it has folded. */
  onFolded: (tx: Sql, folded: FoldCounts) => Promise<void>
  sizes?: Sizes
  turns?: RegistryTurns
  /** By registry, for the next run of the process. */
  stepSizes?: StepSizes
}

/** How the requests of a transaction were folded. */
type FoldCounts = {
  /** Requests that arrived too late to be folded. */
  late: number
  /** HEADs that were part of a push, and so start no invocation. */
  beforePush: number
  /** Requests that joined an invocation, and how many of these came after more than half of the window. */
  joined: number
  joinedLate: number
}

type Sizes = {
  /** Requests of one batch. It takes a few milliseconds, in which the process does nothing else. */
  batch: number
  /** Maximum number of requests and chains of one transaction. */
  requests: number
  chains: number
  /**
   * Entries of the manifests that are completely in memory, about 120 bytes each. Beyond it, a transaction takes no further batch.
   */
  entries: number
}

/** Chains are stored once in each transaction, so long transactions are faster; but PGlite does nothing else meanwhile. */
const SIZES: Record<Database['engine'], Sizes> = {
  postgresql: { batch: 2_000, requests: 200_000, chains: 50_000, entries: 500_000 },
  pglite: { batch: 500, requests: 1_000, chains: 1_000, entries: 500_000 },
}

/**
 * Folds the requests up to the watermark of each registry, one registry after the other; one process at a time folds a registry.
 * An open outcome is stored in its current state, and stored again when it has grown. If a statement of a step took too long, the
 * step is repeated with fewer requests.
 * @throws AggregateError at the end, of registries that failed; at once the error of a database that fails for all of them. Steps
 * that were committed by then stay.
 */
export const foldPending = async (deps: FoldPendingDeps): Promise<void> => {
  const { database, turns = {}, sizes = SIZES[database.engine], stepSizes = createStepSizes() } = deps
  await eachRegistry(startingAfterLast(await pendingRegistries(database.sql), turns), async ({ registry }) => {
    const step = async (): Promise<boolean> => {
      const until = await foldableUntil(database.jobs, registry, deps)
      const known = until === undefined ? new Map() : await lookUpAhead(database.jobs, registry, until)
      return doStep(stepSizes, { kind: registry, size: sizes.requests }, async (divisor) =>
        database.jobTransaction(async (tx) =>
          foldStep(tx, registry, { ...deps, known, sizes: smaller(sizes, divisor) }),
        ),
      )
    }
    while (await step());
  })
}

const smaller = (sizes: Sizes, divisor: number): Sizes => ({
  ...sizes,
  batch: partOf(sizes.batch, divisor),
  requests: partOf(sizes.requests, divisor),
})

const pendingRegistries = async (db: Sql): Promise<{ registry: string }[]> => {
  const { rows } = await sql<{ registry: string }>`select registry from ${PENDING_REGISTRIES} named`.execute(db)
  return rows
}

/**
 * Statements are pipelined: PostgreSQL stores the outcomes of one batch while the next batch is being read.
 * @returns whether more requests can be folded
 */
const foldStep = async (
  tx: Transaction,
  registry: string,
  deps: FoldPendingDeps & { known: LookedUp; sizes: Sizes },
): Promise<boolean> => {
  const { windows, known, sizes } = deps
  const watermark = await watermarkOf(tx, registry, deps)
  if (!watermark) return false
  const chains: Chains = createByOrigin()
  const manifests = createKnownManifests(registry, sizes.entries)
  const share = createShare()
  const totals = createTotals()
  const lastUses = createLastUses(registry)
  const blobReports = createBlobReports(registry, watermark.blobsAt)
  const { foldedTo, until } = watermark
  const take = async (since: Micros): Promise<TakenRequests> =>
    takeRequests(tx, { registry, since, until, atOnce: sizes.batch }, { foldedTo, share, known })

  await lockNumbers(tx)
  let next: Promise<TakenRequests> | undefined = take(-Infinity)
  let taken = 0
  const folded: FoldCounts = { late: 0, beforePush: 0, joined: 0, joinedLate: 0 }
  const onJoin = (after: Micros): void => {
    folded.joined++
    if (after > windows.join / 2) folded.joinedLate++
  }
  let batch: TakenRequests
  do {
    batch = await next
    const { requests, late } = batch
    taken += batch.taken
    folded.late += late.length
    folded.beforePush += batch.beforePush
    lastUses.add(requests)
    lastUses.add(late)
    const origins = missingOrigins(requests, createByOrigin())
    const wanted = origins.filter((key) => !chains.get(key))
    const loading = loadChains(tx, registry, { wanted, share })
    const learning = manifests.learn(tx, requestedManifests(requests), requests)
    const hasRoom = taken < sizes.requests && chains.size() < sizes.chains && manifests.entries() < sizes.entries
    const continues = batch.isMore && hasRoom
    next = continues ? awaitedByCommit(take(batch.until)) : undefined
    const [loaded] = await Promise.all([loading, learning])
    for (const stored of loaded) chains.set(stored.chain.key, stored)
    await manifests.learn(tx, openManifests(chainsFor(requests, chains)), requests)
    const outcomes = foldBatch({ requests, chains }, { contentsIn: manifests.contentsIn, windows, onJoin })
    totals.add(outcomes)
    const learningBlobs = blobReports.learn(tx, requests)
    void awaitedByCommit(
      saveOutcomes(tx, outcomes, { reportsBlobs: blobReports.isReportedAt, platforms: manifests.platforms }),
    )
    await learningBlobs
  } while (next)

  if (taken === 0) return false
  await deps.onFolded(tx, folded)
  await totals.save(tx)
  await lastUses.save(tx)
  await saveChains(tx, registry, { chains: chains.values(), windows })
  if (!batch.isMore) await deleteClosedChains(tx, registry, batch.until)
  await setFoldedTo(tx, registry, { foldedTo: Math.max(foldedTo, batch.until), blobsAt: blobReports.lastAt() })
  return batch.isMore
}
