import { addToChain, goesOnWithEarlier } from '../fold/chain.js'
import type { ContentsOf } from '../fold/contents.js'
import { inOrder } from '../fold/order.js'
import type { Outcome } from '../fold/outcome.js'
import { startChain, type Chain, type ChainNeeds } from '../fold/state.js'
import type { PendingRequest } from '../requests/pending.js'
import type { ByAsker } from './by-asker.js'
import type { KeptChain } from './chains.js'

/** What became of an origin's requests, with who it is: a `Who` as text. */
export type ToldOutcome = {
  outcome: Outcome
  who: string
  /** What was kept of it by an earlier batch. */
  before?: Counted
}

/** What grows of an outcome: as long as none of it did, it is as it was. */
type Counted = { gets: number; layers: number; bytes: number }

/** Chains of one registry. */
export type Chains = ByAsker<KeptChain>

/** `contentsIn`: what is known of manifests in a repository. */
type BatchNeeds = Omit<ChainNeeds, 'emit' | 'contentsOf'> & { contentsIn: (repository: string) => ContentsOf }

/**
 * Folds a batch of requests of one registry onto what was open before it: every split of requests into batches ends in the same.
 * @param chains those that the requests may go on with; they go on, and new ones are added.
 * @returns what is over and what is open, as far as it is new or has grown.
 */
export const foldBatch = (
  { requests, chains }: { requests: readonly PendingRequest[]; chains: Chains },
  { contentsIn, ...told }: BatchNeeds,
): ToldOutcome[] => {
  const touched = new Set<KeptChain>()
  const before = new Map<Outcome, Counted>()
  const outcomes: ToldOutcome[] = []
  const tell = (outcome: Outcome, who: string): void => {
    const kept = before.get(outcome)
    if (!kept) outcomes.push({ outcome, who })
    else if (hasGrown(outcome, kept)) outcomes.push({ outcome, who, before: kept })
  }
  let who = ''
  const emit = (outcome: Outcome): void => {
    tell(outcome, who)
  }
  const needsIn = new Map<string, ChainNeeds>()
  const needsOf = (repository: string): ChainNeeds => {
    const known = needsIn.get(repository)
    if (known) return known
    const needs = { ...told, contentsOf: contentsIn(repository), emit }
    needsIn.set(repository, needs)
    return needs
  }

  for (const request of [...requests].sort(inOrder)) {
    const needs = needsOf(request.repository)
    const kept = goesOnWith(chains, request, needs) ?? begin(chains, request)
    if (!touched.has(kept)) {
      touched.add(kept)
      for (const outcome of outcomesOf(kept.chain)) before.set(outcome, countedIn(outcome))
    }
    who = kept.who
    addToChain(kept.chain, request, needs)
  }

  for (const kept of touched) for (const outcome of outcomesOf(kept.chain)) tell(outcome, kept.who)
  return outcomes
}

const goesOnWith = (chains: Chains, request: PendingRequest, needs: ChainNeeds): KeptChain | undefined => {
  const { repository, previous } = request
  const current = chains.get(request)
  const earlier = previous === undefined ? undefined : chains.get({ repository, origin: previous })
  return earlier && goesOnWithEarlier(earlier.chain, current?.chain, request, needs) ? earlier : current
}

const begin = (chains: Chains, { registry, repository, origin, who }: PendingRequest): KeptChain => {
  const kept = { chain: startChain({ registry, repository, origin }), who }
  chains.set({ repository, origin }, kept)
  return kept
}

const outcomesOf = ({ open, artifacts, orphan }: Chain): Outcome[] =>
  orphan || artifacts.length > 0 ? [...open, ...artifacts, ...(orphan ? [orphan] : [])] : open

const countedIn = (outcome: Outcome): Counted =>
  outcome.what === 'invocation'
    ? { gets: outcome.gets, layers: outcome.layers, bytes: outcome.bytes }
    : { gets: 0, layers: 0, bytes: outcome.bytes }

const hasGrown = (outcome: Outcome, before: Counted): boolean => {
  const { gets, layers, bytes } = countedIn(outcome)
  return gets > before.gets || layers > before.layers || bytes > before.bytes
}
