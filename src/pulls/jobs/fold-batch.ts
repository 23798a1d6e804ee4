import type { Micros } from '../../events/calendar.js'
import { addToChain, mayJoin, startChain, type Chain, type ChainNeeds, type Folded } from '../fold/chain.js'
import { inOrder } from '../fold/order.js'
import type { Outcome } from '../fold/outcome.js'
import type { PendingRequest, Who } from '../record/pending.js'
import type { KeptChain } from './chains.js'

/** What became of an origin's requests, with who it is. */
export type ToldOutcome = { outcome: Outcome; who: Who }

type Folding = { requests: readonly PendingRequest[]; chains: readonly KeptChain[] }

/**
 * Folds a batch of requests of one registry onto what was open before it: every split of requests into batches ends in the same.
 * @returns what is over and what is open, and the chains to go on with.
 */
export const foldBatch = (
  { requests, chains }: Folding,
  needs: Omit<ChainNeeds, 'emit'>,
): { outcomes: ToldOutcome[]; chains: (KeptChain & { overAt: Micros })[] } => {
  const known = new Map(chains.map((kept) => [keyOf(kept.chain.place), kept]))
  const outcomes: ToldOutcome[] = []
  const emitFor =
    (who: Who) =>
    (outcome: Outcome): void => {
      outcomes.push({ outcome, who })
    }

  for (const { who, previous, ...request } of [...requests].sort(inOrder)) {
    const { registry, repository } = request
    const folded: Folded = { ...request, origin: who.origin, fetchesTwice: who.fetchesTwice }
    const before = previous === undefined ? undefined : known.get(keyOf({ repository, origin: previous }))
    const place = { registry, repository, origin: who.origin }
    let kept = before && mayJoin(before.chain, folded, needs) ? before : known.get(keyOf(place))
    if (!kept) known.set(keyOf(place), (kept = { chain: startChain(place), who }))
    addToChain(kept.chain, folded, { ...needs, emit: emitFor(kept.who) })
  }

  for (const { chain, who } of known.values()) {
    for (const { invocation } of chain.open) outcomes.push({ outcome: invocation, who })
    if (chain.orphan) outcomes.push({ outcome: chain.orphan.session, who })
  }
  const goOn = [...known.values()].map((kept) => ({ ...kept, overAt: overAt(kept.chain, needs) }))
  return { outcomes, chains: goOn.filter(({ overAt }) => Number.isFinite(overAt)) }
}

const keyOf = ({ repository, origin }: { repository: string; origin: string }): string => `${repository} ${origin}`

/** After which no request can tell that a chain was there. */
const overAt = ({ open, orphan, heard = -Infinity }: Chain, { windows }: Pick<ChainNeeds, 'windows'>): Micros =>
  Math.max(
    heard + Math.max(windows.session, windows.join),
    (orphan?.last ?? -Infinity) + windows.session,
    ...open.map(({ invocation }) => invocation.last + Math.max(windows.blobs, windows.join)),
  )
