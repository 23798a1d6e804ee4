import type { Micros } from '../../events/calendar.js'
import { addBlob, blobFit } from './blobs.js'
import { addManifest, joinedBy } from './manifests.js'
import { LARGEST_WEIGHT, NOWHERE, weightOf, type OpenInvocation } from './open-invocation.js'
import { asideOf } from './outcome.js'
import { isGet, MOST_OPEN, MOST_REMEMBERED, type Chain, type ChainNeeds, type Folded } from './state.js'
import type { Windows } from '../model/join-windows.js'

const ANSWERED: ReadonlySet<number> = new Set([200, 206, 301, 302, 303, 304, 307, 308])

/** Adds the next request, in the order of `inOrder`. What no later request can change any more is emitted. */
export const addToChain = (chain: Chain, request: Folded, needs: ChainNeeds): void => {
  const { at, status, object } = request
  endUntil(chain, at, needs)
  if (isKnown(chain, request)) return
  if (status >= 400) {
    needs.emit(asideOf(chain.place, 'failure', request))
    return
  }
  if (!ANSWERED.has(status)) return
  if (chain.heard === undefined || at - chain.heard > needs.windows.session) chain.awaitsSession = true
  if (object === 'manifest') addManifest(chain, request, needs)
  else if (object === 'blob' && isGet(request)) addBlob(chain, request, needs)
  endTooMuch(chain, needs)
  // Requests that are not settled may be out of order.
  chain.heard = Math.max(chain.heard ?? -Infinity, at)
}

/**
 * Whether a request goes on with an earlier chain of its client, rather than with the one under the client's current name.
 * @param current the latter, if there is one.
 */
export const goesOnWithEarlier = (
  earlier: Chain,
  current: Chain | undefined,
  request: Folded,
  needs: Pick<ChainNeeds, 'contentsOf' | 'windows'>,
): boolean => {
  if (request.object === 'manifest') return joinedBy(earlier, request, needs) !== undefined
  const fit = blobFit(earlier, request, needs)
  const currentFit = current ? blobFit(current, request, needs) : NOWHERE
  // Of outcomes that list and lack a blob, the oldest takes the blob; of all others the latest.
  return fit < currentFit || (fit === 0 && currentFit === 0)
}

/** Emits what nothing after this moment can change. */
export const endUntil = (chain: Chain, at: Micros, { windows, emit }: ChainNeeds): void => {
  if (at <= chain.quietUntil) return
  const { join, blobs } = windows
  // What begins now, too, stays at least for the shortest window.
  let quietUntil = at + Math.min(join, windows.session)
  let ended = 0
  for (const open of chain.open) {
    const end = endOf(open, windows)
    if (end < at) ended++
    else if (end < quietUntil) quietUntil = end
  }
  if (ended > 0) {
    chain.open = chain.open.filter((open) => {
      const isOver = endOf(open, windows) < at
      if (isOver) emit(open)
      return !isOver
    })
  }
  if (chain.artifacts.length > 0) {
    for (const artifact of chain.artifacts) {
      if (artifact.active + blobs < at) emit(artifact)
      else quietUntil = Math.min(quietUntil, artifact.active + blobs)
    }
    chain.artifacts = chain.artifacts.filter(({ active }) => active + blobs >= at)
  }
  if (chain.orphan) {
    const end = chain.orphan.active + windows.session
    if (end < at) endOrphan(chain, emit)
    else quietUntil = Math.min(quietUntil, end)
  }
  if (chain.requests.length > 0) chain.requests = chain.requests.filter(([, when]) => at - when <= join)
  chain.quietUntil = quietUntil
}

/** Ends the oldest invocations while all that are open remember too much. */
const endTooMuch = (chain: Chain, { emit }: ChainNeeds): void => {
  if (chain.open.length * LARGEST_WEIGHT <= MOST_REMEMBERED) return
  let weight = 0
  for (const open of chain.open) weight += weightOf(open)
  while (weight > MOST_REMEMBERED) {
    const oldest = chain.open.shift()
    if (!oldest) return
    weight -= weightOf(oldest)
    emit(oldest)
  }
}

/** After which moment no request can join an invocation, nor a blob belong to it. */
export const endOf = (
  { gets, last, active }: Pick<OpenInvocation, 'gets' | 'last' | 'active'>,
  { join, blobs }: Windows,
): Micros => (gets > 0 ? Math.max(last + join, active + blobs) : last + join)

/** Emits all that is open. */
export const endChain = (chain: Chain, { emit }: Pick<ChainNeeds, 'emit'>): void => {
  for (const open of [...chain.artifacts, ...chain.open]) emit(open)
  chain.open = []
  chain.artifacts = []
  endOrphan(chain, emit)
}

const endOrphan = (chain: Chain, emit: ChainNeeds['emit']): void => {
  if (!chain.orphan) return
  emit(chain.orphan)
  delete chain.orphan
}

/** Whether another part of the same HTTP request was folded already: registries that rewrite an index tell of both. */
const isKnown = (chain: Chain, { requestId, at }: Folded): boolean => {
  if (requestId === undefined) return false
  if (chain.requests.some(([known]) => known === requestId)) return true
  chain.requests.push([requestId, at])
  if (chain.requests.length > MOST_OPEN) chain.requests.shift()
  return false
}
