import { sql } from 'kysely'
import type { Micros } from '../../events/calendar.js'
import { toldByCommit, type Database, type Sql, type Transaction } from '../../storage/sql/database.js'
import { createStepSizes, doStep, partOf, type StepSizes } from '../../storage/sql/step-sizes.js'
import type { Windows } from '../model/join-windows.js'
import { PENDING_REGISTRIES } from '../requests/pending-registries.js'
import { askedIn, askersOf, chainsOf, openIn } from './asked-in.js'
import { createByAsker } from './by-asker.js'
import { lookUpAhead, type LookedUp } from './check-before-push.js'
import { forgetChains, loadChains, saveChains } from './chains.js'
import { foldBatch, type Chains } from './fold-batch.js'
import { eachRegistry, inTurn, type RegistryTurns } from './each-registry.js'
import { createManifests } from './known-manifests.js'
import { createLastUses } from './last-uses.js'
import { saveOutcomes } from './outcomes.js'
import { createShare } from './share.js'
import { lockNumbers, takeRequests, type Taken } from './take-requests.js'
import { createTellsOfBlobs } from './tells-of-blobs.js'
import { createTotals } from './totals.js'
import { foldableUntil, setFoldedTo, watermarkOf } from './watermark.js'

type Needs = {
  database: Database
  windows: Windows
  /** How long a request may be behind others of its registry and still count, in microseconds. */
  lateness: Micros
  now: () => Date
  /** Is told what each transaction has folded. */
  onFolded: (tx: Sql, folded: Folded) => Promise<void>
  sizes?: Sizes
  turns?: RegistryTurns
  /** By registry, for the next run of the process. */
  stepSizes?: StepSizes
}

/** How a number of requests was folded. */
type Folded = {
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
export const foldPending = async (needs: Needs): Promise<void> => {
  const { database, turns = {}, sizes = SIZES[database.engine], stepSizes = createStepSizes() } = needs
  await eachRegistry(inTurn(await pendingRegistries(database.sql), turns), async ({ registry }) => {
    const step = async (): Promise<boolean> => {
      const until = await foldableUntil(database.jobs, registry, needs)
      const known = until === undefined ? new Map() : await lookUpAhead(database.jobs, registry, until)
      return doStep(stepSizes, { kind: registry, size: sizes.requests }, async (divisor) =>
        database.jobTransaction(async (tx) =>
          foldStep(tx, registry, { ...needs, known, sizes: smaller(sizes, divisor) }),
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
  needs: Needs & { known: LookedUp; sizes: Sizes },
): Promise<boolean> => {
  const { windows, known, sizes } = needs
  const mark = await watermarkOf(tx, registry, needs)
  if (!mark) return false
  const chains: Chains = createByAsker()
  const manifests = createManifests(registry, sizes.entries)
  const share = createShare()
  const totals = createTotals()
  const lastUses = createLastUses(registry)
  const showsBlobs = createTellsOfBlobs(registry, mark.blobsAt)
  const { foldedTo, until } = mark
  const take = async (since: Micros): Promise<Taken> =>
    takeRequests(tx, { registry, since, until, atOnce: sizes.batch }, { foldedTo, share, known })

  await lockNumbers(tx)
  let next: Promise<Taken> | undefined = take(-Infinity)
  let taken = 0
  const folded: Folded = { late: 0, beforePush: 0, joined: 0, joinedLate: 0 }
  const onJoin = (after: Micros): void => {
    folded.joined++
    if (after > windows.join / 2) folded.joinedLate++
  }
  let batch: Taken
  do {
    batch = await next
    const { requests, late } = batch
    taken += batch.taken
    folded.late += late.length
    folded.beforePush += batch.beforePush
    lastUses.add(requests)
    lastUses.add(late)
    const askers = askersOf(requests, createByAsker())
    const wanted = askers.filter((asker) => !chains.get(asker))
    const loading = loadChains(tx, registry, { wanted, share })
    const learning = manifests.learn(tx, askedIn(requests), requests)
    const hasRoom = taken < sizes.requests && chains.size() < sizes.chains && manifests.entries() < sizes.entries
    const goesOn = batch.isMore && hasRoom
    next = goesOn ? toldByCommit(take(batch.until)) : undefined
    const [loaded] = await Promise.all([loading, learning])
    for (const kept of loaded) chains.set(kept.chain.place, kept)
    await manifests.learn(tx, openIn(chainsOf(requests, chains)), requests)
    const outcomes = foldBatch({ requests, chains }, { contentsIn: manifests.contentsIn, windows, onJoin })
    totals.add(outcomes)
    const tells = showsBlobs.learn(tx, requests)
    void toldByCommit(saveOutcomes(tx, outcomes, { showsBlobs: showsBlobs.at, platforms: manifests.platforms }))
    await tells
  } while (next)

  if (taken === 0) return false
  await needs.onFolded(tx, folded)
  await totals.save(tx)
  await lastUses.save(tx)
  await saveChains(tx, registry, { chains: chains.values(), windows })
  if (!batch.isMore) await forgetChains(tx, registry, batch.until)
  await setFoldedTo(tx, registry, { foldedTo: Math.max(foldedTo, batch.until), blobsAt: showsBlobs.last() })
  return batch.isMore
}
