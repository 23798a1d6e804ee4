import type { Micros } from '../../events/calendar.js'
import { addBlob, blobFit } from './blobs.js'
import { addManifest, joinedBy } from './manifests.js'
import { LARGEST_WEIGHT, NO_FIT, weightOf, type OpenInvocation } from './open-invocation.js'
import { asideOf } from './outcome.js'
import { isGet, MAX_OPEN, MAX_WEIGHT, type Chain, type FoldDeps, type FoldRequest } from './state.js'
import type { JoinWindows } from '../model/join-windows.js'

const ANSWERED: ReadonlySet<number> = new Set([200, 206, 301, 302, 303, 304, 307, 308])

/** Adds the next request, in the order of `inOrder`. Emits the outcomes that no later request can change. */
export const addToChain = (chain: Chain, request: FoldRequest, deps: FoldDeps): void => {
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
export const continuesEarlier = (
  earlier: Chain,
  current: Chain | undefined,
  request: FoldRequest,
  deps: Pick<FoldDeps, 'contentsOf' | 'windows'>,
): boolean => {
  if (request.object === 'manifest') return joinedBy(earlier, request, deps) !== undefined
  const fit = blobFit(earlier, request, deps)
  const currentFit = current ? blobFit(current, request, deps) : NO_FIT
  // Of outcomes that list and lack a blob, the oldest takes the blob; of all others the latest.
  return fit < currentFit || (fit === 0 && currentFit === 0)
}

/** Closes and emits the outcomes that no request after a moment can change. */
export const closeUntil = (chain: Chain, at: Micros, { windows, emit }: FoldDeps): void => {
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
    chain.open = chain.open.filter((open) => {
      const isOver = closesAt(open, windows) < at
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
    const closing = chain.orphan.active + windows.session
    if (closing < at) closeOrphan(chain, emit)
    else quietUntil = Math.min(quietUntil, closing)
  }
  if (chain.requests.length > 0) chain.requests = chain.requests.filter(([, when]) => at - when <= join)
  chain.quietUntil = quietUntil
}

/** Closes the oldest invocations while the open invocations together exceed MAX_WEIGHT. */
const closeOldest = (chain: Chain, { emit }: FoldDeps): void => {
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
export const closesAt = (
  { gets, last, active }: Pick<OpenInvocation, 'gets' | 'last' | 'active'>,
  { join, blobs }: JoinWindows,
): Micros => (gets > 0 ? Math.max(last + join, active + blobs) : last + join)

/** Closes and emits all open outcomes. */
export const closeChain = (chain: Chain, { emit }: Pick<FoldDeps, 'emit'>): void => {
  for (const open of [...chain.artifacts, ...chain.open]) emit(open)
  chain.open = []
  chain.artifacts = []
  closeOrphan(chain, emit)
}

const closeOrphan = (chain: Chain, emit: FoldDeps['emit']): void => {
  if (!chain.orphan) return
  emit(chain.orphan)
  delete chain.orphan
}

/** Whether another part of the same HTTP request was folded already: a registry that rewrites an index reports both manifests. */
const isRepeated = (chain: Chain, { requestId, at }: FoldRequest): boolean => {
  if (requestId === undefined) return false
  if (chain.requests.some(([known]) => known === requestId)) return true
  chain.requests.push([requestId, at])
  if (chain.requests.length > MAX_OPEN) chain.requests.shift()
  return false
}
