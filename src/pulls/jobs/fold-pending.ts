import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/database.js'
import { jobStep, type Step } from '../../storage/job-step.js'
import type { Windows } from '../fold/windows.js'
import { readPending, type PendingRequest } from '../record/pending.js'
import { loadChains, saveChains, type KeptChain } from './chains.js'
import { foldBatch } from './fold-batch.js'
import { keepRequests } from './keep-requests.js'
import { knownFor } from './known-manifests.js'
import { saveOutcomes } from './outcomes.js'
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
  /** Requests of one transaction. */
  atOnce?: number
}

const AT_ONCE = 20_000

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
  const { windows, atOnce = AT_ONCE } = needs
  const mark = await watermarkOf(tx, registry, needs)
  if (!mark) return false
  const { until, isMore } = await limitOf(tx, { registry, until: mark.until, atOnce })
  const taken = await takePending(tx, registry, until)
  if (taken.length === 0) return false
  const requests = taken.filter(({ at }) => at > mark.foldedTo)
  if (requests.length < taken.length) await needs.onLate(tx, taken.length - requests.length)

  await keepRequests(tx, taken, ({ at }) => at <= mark.foldedTo)

  const chains = await loadChains(tx, registry, askersOf(requests))
  const { contentsOf, platforms } = await knownFor(tx, digestsOf(requests, chains))
  const folded = foldBatch({ requests, chains }, { contentsOf, windows })
  const showsBlobs = await tellsOfBlobs(tx, registry, { requests, before: mark.blobsAt })
  await saveOutcomes(tx, folded.outcomes, { showsBlobs, platforms })
  await saveChains(tx, registry, { kept: folded.chains, at: until })
  await sql`
    update pulls.registries set folded_to = greatest(folded_to, ${isoTime(until)}::timestamptz) where registry = ${registry}
  `.execute(tx)
  return isMore
}

/** Until when to fold, so that what is taken is not too much; what happened at one moment stays together. */
const limitOf = async (
  tx: Sql,
  { registry, until, atOnce }: { registry: string; until: Micros; atOnce: number },
): Promise<{ until: Micros; isMore: boolean }> => {
  const { rows } = await sql<{ at: string }>`
    select (extract(epoch from at) * 1000000)::bigint::text as at from pulls.pending
    where registry = ${registry} and at <= ${isoTime(until)}::timestamptz order by pulls.pending.at offset ${atOnce - 1} limit 1
  `.execute(tx)
  const [last] = rows
  return last ? { until: Number(last.at), isMore: true } : { until, isMore: false }
}

const takePending = async (tx: Sql, registry: string, until: Micros): Promise<PendingRequest[]> => {
  const { rows } = await sql<{ id: string; registry: string; request: string }>`
    delete from pulls.pending where registry = ${registry} and at <= ${isoTime(until)}::timestamptz
    returning id, registry, request
  `.execute(tx)
  return rows.map(readPending)
}

type Asker = { repository: string; origin: string }

const askersOf = (requests: readonly PendingRequest[]): Asker[] => {
  const askers = new Map<string, Asker>()
  for (const { repository, who, previous } of requests) {
    for (const origin of previous === undefined ? [who.origin] : [who.origin, previous])
      askers.set(`${repository} ${origin}`, { repository, origin })
  }
  return [...askers.values()]
}

/** The manifests that were asked for now, or by what is open. */
const digestsOf = (requests: readonly PendingRequest[], chains: readonly KeptChain[]): string[] => [
  ...new Set([
    ...requests.flatMap(({ object, digest }) => (object === 'manifest' && digest !== undefined ? [digest] : [])),
    ...chains.flatMap(({ chain }) => chain.open.flatMap(({ named, fetched }) => [...named, ...fetched])),
  ]),
]
