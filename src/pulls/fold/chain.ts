import type { Micros } from '../../events/calendar.js'
import { addBlob, blobFit } from './blobs.js'
import type { Name } from './contents.js'
import { addManifest, joinedBy } from './manifests.js'
import { LARGEST_WEIGHT, NO_FIT, weightOf, type OpenInvocation } from './open-invocation.js'
import { asideOf } from './outcome.js'
import { isGet, MAX_OPEN, MAX_WEIGHT, type Chain, type FoldDeps, type ChainRequest } from './state.js'
import type { JoinWindows } from '../model/join-windows.js'

const ANSWERED: ReadonlySet<number> = new Set([200, 206, 301, 302, 303, 304, 307, 308])

/** Adds the next request, in the order of `inOrder`. Emits the outcomes that no later request can change. */
export const addToChain = <N extends Name>(chain: Chain<N>, request: ChainRequest<N>, deps: FoldDeps<N>): void => {
  const { at, status, object } = request
  closeUntil(chain, at, deps)
  if (isRepeated(chain, request)) return
  if (status >= 400) {
    deps.emit(asideOf(chain.key, 'failure', request))
    return
  }
  if (!ANSWERED.has(status)) return
  if (chain.lastAt === undefined || at - chain.lastAt > deps.windows.session) chain.awaitsSession = true
  if (object === 'manifest') addManifest(chain, request, deps)
  else if (object === 'blob' && isGet(request)) addBlob(chain, request, deps)
  closeOldest(chain, deps)
  // Unsettled requests may be out of order.
  chain.lastAt = Math.max(chain.lastAt ?? -Infinity, at)
}

/**
 * Whether a request continues the earlier chain of its client, rather than the chain under the client's current name.
 * @param current the chain under the current name, if one exists
 */
export const continuesEarlier = <N extends Name>(
  earlier: Chain<N>,
  current: Chain<N> | undefined,
  request: ChainRequest<N>,
  deps: Pick<FoldDeps<N>, 'contentsOf' | 'windows'>,
): boolean => {
  if (request.object === 'manifest') return joinedBy(earlier, request, deps) !== undefined
  const fit = blobFit(earlier, request, deps)
  const currentFit = current ? blobFit(current, request, deps) : NO_FIT
  // Of outcomes that list and lack a blob, the oldest takes the blob; of all others the latest.
  return fit < currentFit || (fit === 0 && currentFit === 0)
}

/** Closes and emits the outcomes that no request after a moment can change. */
export const closeUntil = <N extends Name>(chain: Chain<N>, at: Micros, { windows, emit }: FoldDeps<N>): void => {
  if (at <= chain.quietUntil) return
  const { join, blobs } = windows
  // An outcome that begins now also stays open, at least for the shortest window.
  let quietUntil = at + Math.min(join, windows.session)
  let closed = 0
  for (const open of chain.open) {
    const closing = closesAt(open, windows)
    if (closing < at) closed++
    else if (closing < quietUntil) quietUntil = closing
  }
  if (closed > 0) {
    const { open } = chain
    let left = 0
    for (const one of open) {
      if (closesAt(one, windows) < at) emit(one)
      else open[left++] = one
    }
    open.length = left
  }
  if (chain.artifacts.length > 0) {
    for (const artifact of chain.artifacts) {
      if (artifact.active + blobs < at) emit(artifact)
      else quietUntil = Math.min(quietUntil, artifact.active + blobs)
    }
    chain.artifacts = chain.artifacts.filter(({ active }) => active + blobs >= at)
  }
  if (chain.orphan) {
    const closing = chain.orphan.active + windows.session
    if (closing < at) closeOrphan(chain, emit)
    else quietUntil = Math.min(quietUntil, closing)
  }
  if (chain.requests.length > 0) chain.requests = chain.requests.filter(([, when]) => at - when <= join)
  chain.quietUntil = quietUntil
}

/** Closes the oldest invocations while the open invocations together exceed MAX_WEIGHT. */
const closeOldest = <N extends Name>(chain: Chain<N>, { emit }: FoldDeps<N>): void => {
  if (chain.open.length * LARGEST_WEIGHT <= MAX_WEIGHT) return
  let weight = 0
  for (const open of chain.open) weight += weightOf(open)
  while (weight > MAX_WEIGHT) {
    const oldest = chain.open.shift()
    if (!oldest) return
    weight -= weightOf(oldest)
    emit(oldest)
  }
}

/** The moment after which no request can join an invocation, and no blob can belong to it. */
const closesAt = (
  { gets, last, active }: Pick<OpenInvocation, 'gets' | 'last' | 'active'>,
  { join, blobs }: JoinWindows,
): Micros => (gets > 0 ? Math.max(last + join, active + blobs) : last + join)

/** The moment after which no request depends on a chain. */
export const overAt = <N extends Name>(
  { open, artifacts, orphan, lastAt = -Infinity }: Chain<N>,
  windows: JoinWindows,
): Micros => {
  let over = lastAt + Math.max(windows.session, windows.join)
  if (orphan) over = Math.max(over, orphan.active + windows.session)
  for (const artifact of artifacts) over = Math.max(over, artifact.active + windows.blobs)
  for (const one of open) over = Math.max(over, closesAt(one, windows))
  return over
}

/** Closes and emits all open outcomes. */
export const closeChain = <N extends Name>(chain: Chain<N>, { emit }: Pick<FoldDeps<N>, 'emit'>): void => {
  for (const open of [...chain.artifacts, ...chain.open]) emit(open)
  chain.open = []
  chain.artifacts = []
  closeOrphan(chain, emit)
}

const closeOrphan = <N extends Name>(chain: Chain<N>, emit: FoldDeps<N>['emit']): void => {
  if (!chain.orphan) return
  emit(chain.orphan)
  delete chain.orphan
}

/** Whether another part of the same HTTP request was folded already: a registry that rewrites an index reports both manifests. */
const isRepeated = <N extends Name>(chain: Chain<N>, { requestId, at }: ChainRequest<N>): boolean => {
  if (requestId === undefined) return false
  if (chain.requests.some(([known]) => known === requestId)) return true
  chain.requests.push([requestId, at])
  if (chain.requests.length > MAX_OPEN) chain.requests.shift()
  return false
}
