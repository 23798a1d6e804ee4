import { addToChain, continuesEarlier } from '../fold/chain.js'
import type { ContentsOf } from '../fold/contents.js'
import { inOrder } from '../fold/order.js'
import type { PullOutcome } from '../fold/outcome.js'
import { startChain, type Chain, type FoldDeps } from '../fold/state.js'
import type { PendingRequest } from '../requests/pending.js'
import type { ByOrigin } from './by-origin.js'
import type { StoredChain } from './chains.js'

/** What became of an origin's requests, with who it is: a `Who` as text. */
export type ChangedOutcome = {
  outcome: PullOutcome
  who: string
  /** What was kept of it by an earlier batch. */
  before?: Counted
}

/** What grows of an outcome: as long as none of it did, it is as it was. */
type Counted = { gets: number; layers: number; bytes: number }

/** Chains of one registry. */
export type Chains = ByOrigin<StoredChain>

/** `contentsIn`: what is known of manifests in a repository. */
type BatchDeps = Omit<FoldDeps, 'emit' | 'contentsOf'> & { contentsIn: (repository: string) => ContentsOf }

/**
 * Folds a batch of requests of one registry onto what was open before it: every split of requests into batches ends in the same.
 * @param chains those that the requests may go on with; they go on, and new ones are added.
 * @returns what is over and what is open, as far as it is new or has grown.
 */
export const foldBatch = (
  { requests, chains }: { requests: readonly PendingRequest[]; chains: Chains },
  { contentsIn, ...rest }: BatchDeps,
): ChangedOutcome[] => {
  const touched = new Set<StoredChain>()
  const before = new Map<PullOutcome, Counted>()
  const outcomes: ChangedOutcome[] = []
  const report = (outcome: PullOutcome, who: string): void => {
    const stored = before.get(outcome)
    if (!stored) outcomes.push({ outcome, who })
    else if (hasGrown(outcome, stored)) outcomes.push({ outcome, who, before: stored })
  }
  let who = ''
  const emit = (outcome: PullOutcome): void => {
    report(outcome, who)
  }
  const depsIn = new Map<string, FoldDeps>()
  const depsFor = (repository: string): FoldDeps => {
    const known = depsIn.get(repository)
    if (known) return known
    const deps = { ...rest, contentsOf: contentsIn(repository), emit }
    depsIn.set(repository, deps)
    return deps
  }

  for (const request of [...requests].sort(inOrder)) {
    const deps = depsFor(request.repository)
    const stored = continuedChain(chains, request, deps) ?? startNewChain(chains, request)
    if (!touched.has(stored)) {
      touched.add(stored)
      for (const outcome of outcomesOf(stored.chain)) before.set(outcome, countedIn(outcome))
    }
    who = stored.who
    addToChain(stored.chain, request, deps)
  }

  for (const stored of touched) for (const outcome of outcomesOf(stored.chain)) report(outcome, stored.who)
  return outcomes
}

const continuedChain = (chains: Chains, request: PendingRequest, deps: FoldDeps): StoredChain | undefined => {
  const { repository, previous } = request
  const current = chains.get(request)
  const earlier = previous === undefined ? undefined : chains.get({ repository, origin: previous })
  return earlier && continuesEarlier(earlier.chain, current?.chain, request, deps) ? earlier : current
}

const startNewChain = (chains: Chains, { registry, repository, origin, who }: PendingRequest): StoredChain => {
  const stored = { chain: startChain({ registry, repository, origin }), who }
  chains.set({ repository, origin }, stored)
  return stored
}

const outcomesOf = ({ open, artifacts, orphan }: Chain): PullOutcome[] =>
  orphan || artifacts.length > 0 ? [...open, ...artifacts, ...(orphan ? [orphan] : [])] : open

const countedIn = (outcome: PullOutcome): Counted =>
  outcome.what === 'invocation'
    ? { gets: outcome.gets, layers: outcome.layers, bytes: outcome.bytes }
    : { gets: 0, layers: 0, bytes: outcome.bytes }

const hasGrown = (outcome: PullOutcome, before: Counted): boolean => {
  const { gets, layers, bytes } = countedIn(outcome)
  return gets > before.gets || layers > before.layers || bytes > before.bytes
}
