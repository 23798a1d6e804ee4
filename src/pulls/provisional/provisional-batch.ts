import { sql } from 'kysely'
import type { Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { epochMicros } from '../../storage/sql/moments.js'
import type { PullOutcome } from '../fold/outcome.js'
import type { JoinWindows } from '../model/join-windows.js'
import type { PendingRequest } from '../requests/pending.js'
import { requestedManifests, missingOrigins, chainsFor, openManifests } from '../fold-job/batch-inputs.js'
import { createBlobReports, type BlobReports } from '../fold-job/blob-reports.js'
import { createByOrigin } from '../fold-job/by-origin.js'
import { loadChains } from '../fold-job/chains.js'
import { foldBatch, type Chains } from '../fold-job/fold-batch.js'
import { createKnownManifests } from '../fold-job/known-manifests.js'
import { saveOutcomes } from '../fold-job/save-outcomes.js'
import { createShare } from '../fold-job/share.js'

/** Maximum number of entries of complete manifests in memory during one batch. */
const MAX_ENTRIES = 100_000

/** The state of a registry in the memory of the process. */
type RegistryState = {
  chains: Chains
  blobReports: BlobReports
  /** For each run the number of requests that it folded, and the time of the last one. */
  folded: { last: Micros; count: number }[]
}

/** What a process remembers of its provisional fold. */
export type FoldedState = { epoch: string; registries: Map<string, RegistryState>; isCleared: boolean }

type Mark = { registry: string; foldedTo: Micros; blobsAt: Micros | undefined }

type ProvisionalBatch = {
  windows: JoinWindows
  registry: string
  batch: readonly PendingRequest[]
  state: FoldedState
}

/** Folds some requests of a registry, and stores their provisional outcomes. */
export const foldProvisionalBatch = async (
  tx: Sql,
  { windows, registry, batch, state }: ProvisionalBatch,
): Promise<true> => {
  const [mark] = await marksOf(tx, [registry])
  if (!mark) await sql`insert into pulls.registries (registry) values (${registry}) on conflict do nothing`.execute(tx)
  const { foldedTo = -Infinity, blobsAt } = mark ?? {}
  const requests = batch.filter(({ at }) => at > foldedTo)
  if (requests.length === 0) return true
  const known = state.registries.get(registry)
  const remembered = known ?? {
    chains: createByOrigin(),
    blobReports: createBlobReports(registry, blobsAt),
    folded: [],
  }
  state.registries.set(registry, remembered)
  const { chains, blobReports } = remembered
  const manifests = createKnownManifests(registry, MAX_ENTRIES)
  const loaded = await loadChains(tx, registry, { wanted: missingOrigins(requests, chains), share: createShare() })
  for (const stored of loaded) chains.set(stored.chain.key, stored)
  await manifests.learn(tx, [...requestedManifests(requests), ...openManifests(chainsFor(requests, chains))], requests)
  const outcomes = foldBatch({ requests, chains }, { contentsIn: manifests.contentsIn, windows })
  await blobReports.learn(tx, requests, 'provisional.outcomes')
  await saveOutcomes(
    tx,
    outcomes,
    { reportsBlobs: blobReports.isReportedAt, platforms: manifests.platforms },
    { table: 'provisional.outcomes', lastAt: lastOf },
  )
  remembered.folded.push({ last: Math.max(...requests.map(({ at }) => at)), count: requests.length })
  return true
}

/** The time of the last request that an outcome has taken. */
const lastOf = (outcome: PullOutcome): Micros => ('active' in outcome ? (outcome.active as Micros) : outcome.at)

/** Drops chains from memory if the fold has taken all their requests. @returns the number of unsettled requests */
export const dropSettled = async (db: Sql, { registries }: FoldedState): Promise<number> => {
  let unsettled = 0
  for (const { registry, foldedTo } of await marksOf(db, [...registries.keys()])) {
    const remembered = registries.get(registry)
    if (!remembered) continue
    const { chains } = remembered
    const unsettledChains: Chains = createByOrigin()
    for (const one of chains.values())
      if ((one.chain.lastAt ?? -Infinity) > foldedTo) unsettledChains.set(one.chain.key, one)
    remembered.chains = unsettledChains
    remembered.folded = remembered.folded.filter(({ last }) => last > foldedTo)
    for (const { count } of remembered.folded) unsettled += count
    if (unsettledChains.size() === 0 && remembered.folded.length === 0) registries.delete(registry)
  }
  return unsettled
}

const marksOf = async (db: Sql, registries: readonly string[]): Promise<Mark[]> => {
  if (registries.length === 0) return []
  const { rows } = await sql<{ registry: string; foldedTo: string | null; blobsAt: string | null }>`
    select registry, ${epochMicros(sql`nullif(folded_to, '-infinity')`)}::text as "foldedTo",
      ${epochMicros(sql`blobs_at`)}::text as "blobsAt"
    from pulls.registries where registry = any(${registries}::text[])
  `.execute(db)
  return rows.map(({ registry, foldedTo, blobsAt }) => ({
    registry,
    foldedTo: foldedTo === null ? -Infinity : Number(foldedTo),
    blobsAt: blobsAt === null ? undefined : Number(blobsAt),
  }))
}
