import { isReferrerTag } from '../../events/reference.js'
import { addToChain, continuesEarlier } from '../fold/chain.js'
import type { ContentsOf } from '../fold/contents.js'
import { inOrder } from '../fold/order.js'
import type { PullOutcome } from '../fold/outcome.js'
import { startChain, type Chain, type FoldDeps } from '../fold/state.js'
import type { PendingRequest } from '../requests/pending.js'
import type { ByOrigin } from './by-origin.js'
import type { StoredChain } from './chains.js'

/** An outcome that is new or has grown in a batch, with a `Who` of its origin as text. */
export type ChangedOutcome = {
  outcome: PullOutcome
  who: string
  /** The numbers that an earlier batch stored; undefined if the outcome is new. */
  before?: Counted
}

/** The numbers of an outcome that can grow. If none has grown, the outcome is unchanged. */
type Counted = { gets: number; layers: number; bytes: number }

/** The chains of one registry that are in memory. */
export type Chains = ByOrigin<StoredChain>

/** `contentsIn` looks up the known contents of manifests in a repository. */
type BatchDeps = Omit<FoldDeps, 'emit' | 'contentsOf' | 'isReferrerTag'> & {
  contentsIn: (repository: string) => ContentsOf
}

/**
 * Folds a batch of requests of one registry onto the open chains. The result does not depend on how requests are split into batches.
 * @param chains the chains that the requests may continue; they are changed in memory, and new chains are added
 * @returns the closed and open outcomes that are new or have grown
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
    const deps = { ...rest, contentsOf: contentsIn(repository), isReferrerTag, emit }
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
