import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/database.js'
import { jobStep, type Step } from '../../storage/job-step.js'
import type { Windows } from '../fold/windows.js'
import type { PendingRequest } from '../record/pending.js'
import { forgetChains, loadChains, saveChains, type KeptChain } from './chains.js'
import { foldBatch, keyOf, type Chains } from './fold-batch.js'
import { createManifests } from './known-manifests.js'
import { saveOutcomes } from './outcomes.js'
import { createShare } from './share.js'
import { isWithin, takeRequests, type Stretch } from './take-requests.js'
import { tellsOfBlobs } from './tells-of-blobs.js'
import { watermarkOf } from './watermark.js'

type Needs = {
  database: Database
  windows: Windows
  /** How long a request may be behind others of its registry and still count, in microseconds. */
  lateness: Micros
  now: () => Date
  /** Is told of requests that came too late to be folded. */
  onLate: (tx: Sql, requests: number) => Promise<void>
  sizes?: Sizes
}

type Sizes = {
  /** Requests that are folded in one go: so many take a few milliseconds, in which the process does nothing else. */
  batch: number
  /** What one transaction folds and remembers at most. */
  requests: number
  chains: number
}

/** Chains are kept once in a transaction, so long ones are faster; PGlite does nothing else meanwhile. */
const SIZES: Record<Database['engine'], Sizes> = {
  postgresql: { batch: 2_000, requests: 200_000, chains: 50_000 },
  pglite: { batch: 500, requests: 1_000, chains: 1_000 },
}

/**
 * Folds the requests that have waited long enough, registry by registry; each registry is folded by one process at a time. What
 * is open yet is kept as it stands, and kept again when more was heard.
 * @throws what the database throws; what was folded by then stays.
 */
export const foldPending = async (needs: Needs): Promise<void> => {
  for (const registry of await registriesIn(needs.database.sql)) {
    while (await jobStep(needs.database, async (tx) => foldStep(tx, registry, needs)));
  }
}

const registriesIn = async (db: Sql): Promise<string[]> => {
  const { rows } = await sql<{ registry: string }>`
    with recursive named as (
      (select registry from pulls.pending order by registry limit 1)
      union all
      select (select p.registry from pulls.pending p where p.registry > named.registry order by p.registry limit 1)
      from named where named.registry is not null
    )
    select registry from named where registry is not null
  `.execute(db)
  return rows.map(({ registry }) => registry)
}

/** @returns whether there is more. */
const foldStep = async (tx: Step, registry: string, needs: Needs): Promise<boolean> => {
  const { database, windows, sizes = SIZES[database.engine] } = needs
  const mark = await watermarkOf(tx, registry, needs)
  if (!mark) return false
  const chains: Chains = new Map()
  const manifests = createManifests()
  const share = createShare()
  let { foldedTo, blobsAt } = mark
  let since = -Infinity
  let taken = 0
  let isMore = true
  while (isMore && taken < sizes.requests && chains.size < sizes.chains) {
    const limit = await limitOf(tx, { registry, since, until: mark.until, atOnce: sizes.batch })
    const { requests, late } = await takeRequests(tx, { registry, since, until: limit.until, foldedTo, share })
    if (late > 0) await needs.onLate(tx, late)
    const loaded = await loadChains(tx, registry, { wanted: askersOf(requests, chains), share })
    for (const kept of loaded) chains.set(keyOf(kept.chain.place), kept)
    await manifests.learn(tx, digestsOf(requests, loaded))
    const outcomes = foldBatch({ requests, chains }, { contentsOf: manifests.contentsOf, windows })
    const shows = await tellsOfBlobs(tx, registry, { requests, before: blobsAt })
    await saveOutcomes(tx, outcomes, { showsBlobs: shows.at, platforms: manifests.platforms })
    blobsAt = shows.last
    foldedTo = Math.max(foldedTo, limit.until)
    since = limit.until
    isMore = limit.isMore
    taken += requests.length + late
  }
  await saveChains(tx, registry, { chains: [...chains.values()], windows })
  if (!isMore) await forgetChains(tx, registry, foldedTo)
  if (taken > 0)
    await sql`update pulls.registries set folded_to = ${isoTime(foldedTo)}::timestamptz where registry = ${registry}`.execute(
      tx,
    )
  return isMore
}

/** Until when to fold, so that what is taken is not too much; what happened at one moment stays together. */
const limitOf = async (
  tx: Sql,
  { registry, since, until, atOnce }: Stretch & { atOnce: number },
): Promise<{ until: Micros; isMore: boolean }> => {
  const { rows } = await sql<{ at: string }>`
    select (extract(epoch from at) * 1000000)::bigint::text as at from pulls.pending
    where registry = ${registry} and ${isWithin({ since, until })} order by pulls.pending.at offset ${atOnce - 1} limit 1
  `.execute(tx)
  const [last] = rows
  return last ? { until: Number(last.at), isMore: true } : { until, isMore: false }
}

type Asker = { repository: string; origin: string }

/** Whose chains are not there yet. */
const askersOf = (requests: readonly PendingRequest[], chains: Chains): Asker[] => {
  const askers = new Map<string, Asker>()
  const add = (asker: Asker): void => {
    const key = keyOf(asker)
    if (!chains.has(key)) askers.set(key, asker)
  }
  for (const { repository, origin, previous } of requests) {
    add({ repository, origin })
    if (previous !== undefined) add({ repository, origin: previous })
  }
  return [...askers.values()]
}

/** The manifests that were asked for now, or by what is open. */
const digestsOf = (requests: readonly PendingRequest[], chains: readonly KeptChain[]): string[] => [
  ...requests.flatMap(({ object, digest }) => (object === 'manifest' && digest !== undefined ? [digest] : [])),
  ...chains.flatMap(({ chain }) =>
    chain.open.flatMap(({ digest, named, fetched }) => [
      ...(digest === undefined ? [] : [digest]),
      ...named,
      ...fetched,
    ]),
  ),
]
