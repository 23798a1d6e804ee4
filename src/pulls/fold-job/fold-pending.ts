import { sql } from 'kysely'
import type { Micros } from '../../events/calendar.js'
import { toldByCommit, type Database, type Sql, type Transaction } from '../../storage/sql/database.js'
import { createStepSizes, doStep, partOf, type StepSizes } from '../../storage/sql/step-sizes.js'
import type { JoinWindows } from '../model/join-windows.js'
import { PENDING_REGISTRIES } from '../requests/pending-registries.js'
import { requestedManifests, missingOrigins, chainsFor, openManifests } from './batch-inputs.js'
import { createByOrigin } from './by-origin.js'
import { lookUpAhead, type LookedUp } from './look-up-heads.js'
import { deleteClosedChains, loadChains, saveChains } from './chains.js'
import { foldBatch, type Chains } from './fold-batch.js'
import { eachRegistry, inTurn, type RegistryTurns } from './each-registry.js'
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
  /** How long a request may be behind others of its registry and still count, in microseconds. */
  lateness: Micros
  now: () => Date
  /** Is told what each transaction has folded. */
  onFolded: (tx: Sql, folded: FoldCounts) => Promise<void>
  sizes?: Sizes
  turns?: RegistryTurns
  /** By registry, for the next run of the process. */
  stepSizes?: StepSizes
}

/** How a number of requests was folded. */
type FoldCounts = {
  /** Those that came too late to be folded. */
  late: number
  /** HEADs that were part of a push, and so no invocations. */
  beforePush: number
  /** Those that joined an invocation, and those of them that came after more than half the window. */
  joined: number
  joinedLate: number
}

type Sizes = {
  /** Requests that are folded in one go: so many take a few milliseconds, in which the process does nothing else. */
  batch: number
  /** What one transaction folds and remembers at most. */
  requests: number
  chains: number
  /**
   * Entries of manifests that are in memory as a whole, about 120 bytes each. With as many, a transaction takes no further batch.
   */
  entries: number
}

/** Chains are kept once in a transaction, so long ones are faster; PGlite does nothing else meanwhile. */
const SIZES: Record<Database['engine'], Sizes> = {
  postgresql: { batch: 2_000, requests: 200_000, chains: 50_000, entries: 500_000 },
  pglite: { batch: 500, requests: 1_000, chains: 1_000, entries: 500_000 },
}

/**
 * Folds the requests that have waited long enough, registry by registry; each registry is folded by one process at a time. What
 * is open yet is kept as it stands, and kept again when more was heard. If a statement of a step was ended because it took too long, the
 * step is repeated with fewer requests.
 * @throws AggregateError at the end, of registries that failed; what the database throws if it fails for all of them. What was
 * folded by then stays.
 */
export const foldPending = async (deps: FoldPendingDeps): Promise<void> => {
  const { database, turns = {}, sizes = SIZES[database.engine], stepSizes = createStepSizes() } = deps
  await eachRegistry(inTurn(await pendingRegistries(database.sql), turns), async ({ registry }) => {
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
 * While PostgreSQL works on one statement, the next are on their way: it keeps what came of a batch while the next is read.
 * @returns whether there is more.
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
    next = continues ? toldByCommit(take(batch.until)) : undefined
    const [loaded] = await Promise.all([loading, learning])
    for (const stored of loaded) chains.set(stored.chain.key, stored)
    await manifests.learn(tx, openManifests(chainsFor(requests, chains)), requests)
    const outcomes = foldBatch({ requests, chains }, { contentsIn: manifests.contentsIn, windows, onJoin })
    totals.add(outcomes)
    const learningBlobs = blobReports.learn(tx, requests)
    void toldByCommit(
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
