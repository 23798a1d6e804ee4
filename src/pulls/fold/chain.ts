import type { Micros } from '../../events/calendar.js'
import type { RegistryRequest } from '../../events/registry-request.js'
import { isIndex } from '../../events/target.js'
import type { ContentsOf } from './contents.js'
import { blobIn, fitOf, lists, NOWHERE, type Kind, type OpenInvocation } from './open-invocation.js'
import type { Aside, Outcome, Place } from './outcome.js'
import type { Windows } from './windows.js'

/** A request, and what the fold has to know of who made it. */
export type Folded = RegistryRequest & {
  origin: string
  /** Whether its client is one of those that fetch each manifest twice. */
  fetchesTwice?: boolean
}

/** What one origin does in one repository, up to a moment. Plain data, so that it can be kept and gone on with. */
export type Chain = {
  place: Place
  /** In the order in which they began. */
  open: OpenInvocation[]
  orphan?: { session: Aside; last: Micros }
  /** When it was last heard of. */
  heard?: Micros
  /** The registry's names of requests that were folded lately, and when. */
  requests: [string, Micros][]
}

export type ChainNeeds = { contentsOf: ContentsOf; windows: Windows; emit: (outcome: Outcome) => void }

/** Invocations that stay open at a time; an origin that begins more ends the oldest early. */
const MOST_OPEN = 2_000
const MOST_IN_ONE = 1_000
/** No invocation takes manifests for longer, so that a day is over some time. */
export const LONGEST: Micros = 3_600_000_000

export const startChain = (place: Place): Chain => ({ place, open: [], requests: [] })

/** A signature, an attestation or a bill of materials, by the tag under which cosign keeps it. */
const ARTIFACT_TAG = /^sha256-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?$/

const ANSWERED: ReadonlySet<number> = new Set([200, 206, 301, 302, 303, 304, 307, 308])

/** Adds the next request, in the order of `inOrder`. What no later request can change any more is emitted. */
export const addToChain = (chain: Chain, request: Folded, needs: ChainNeeds): void => {
  const { at, status, object } = request
  endUntil(chain, at, needs)
  if (isKnown(chain, request)) return
  if (status >= 400) {
    needs.emit(aside(chain, 'failure', request))
    return
  }
  if (!ANSWERED.has(status)) return
  if (object === 'manifest') addManifest(chain, request, needs)
  else if (object === 'blob' && isGet(request)) addBlob(chain, request, needs)
  chain.heard = at
}

/** Whether a request belongs to something that is open, so that it needs no chain of its own. */
export const mayJoin = (chain: Chain, request: Folded, needs: Pick<ChainNeeds, 'contentsOf' | 'windows'>): boolean => {
  if (request.object === 'manifest') return joinedBy(chain, request, needs) !== undefined
  const { windows } = needs
  return chain.open.some(({ invocation }) => invocation.gets > 0 && request.at - invocation.last <= windows.blobs)
}

/** Emits what nothing after this moment can change. */
export const endUntil = (chain: Chain, at: Micros, { windows, emit }: ChainNeeds): void => {
  const isOver = ({ invocation: { last, gets } }: OpenInvocation): boolean =>
    at - last > (gets > 0 ? Math.max(windows.join, windows.blobs) : windows.join)
  if (chain.open.some(isOver)) {
    for (const one of chain.open) if (isOver(one)) emit(one.invocation)
    chain.open = chain.open.filter((one) => !isOver(one))
  }
  if (chain.orphan && at - chain.orphan.last > windows.session) endOrphan(chain, emit)
  if (chain.requests.some(([, when]) => at - when > windows.join))
    chain.requests = chain.requests.filter(([, when]) => at - when <= windows.join)
}

/** Emits all that is open. */
export const endChain = (chain: Chain, { emit }: Pick<ChainNeeds, 'emit'>): void => {
  for (const { invocation } of chain.open) emit(invocation)
  chain.open = []
  endOrphan(chain, emit)
}

const endOrphan = (chain: Chain, emit: ChainNeeds['emit']): void => {
  if (!chain.orphan) return
  emit(chain.orphan.session)
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

const isGet = ({ method, status }: Folded): boolean => method === 'GET' && status !== 304

const kindOf = ({ tag, digest, mediaType }: Folded, contentsOf: ContentsOf): Kind => {
  if (tag !== undefined && ARTIFACT_TAG.test(tag)) return 'artifact'
  const known = digest === undefined ? undefined : contentsOf(digest)
  if (known) return known.kind
  if (mediaType === undefined) return 'unknown'
  return isIndex(mediaType) ? 'index' : 'image'
}

const addManifest = (chain: Chain, request: Folded, needs: ChainNeeds): void => {
  const kind = kindOf(request, needs.contentsOf)
  if (kind === 'artifact') {
    if (isGet(request)) needs.emit(aside(chain, 'artifact', request))
    return
  }
  const joined = joinedBy(chain, request, needs)
  const open = joined ?? start(chain, request, needs)
  open.invocation.last = request.at
  if (isGet(request)) fetch(open, request, kind)
  else if (request.digest !== undefined) remember(open.named, request.digest)
}

const joinedBy = (
  chain: Chain,
  request: Folded,
  needs: Pick<ChainNeeds, 'contentsOf' | 'windows'>,
): OpenInvocation | undefined => {
  const { tag, digest, at, fetchesTwice } = request
  const { contentsOf, windows } = needs
  const near = chain.open.filter(
    ({ invocation }) => at - invocation.last <= windows.join && at - invocation.at <= LONGEST,
  )
  if (!isGet(request)) {
    if (tag !== undefined || digest === undefined) return undefined
    return near.find((open) => open.named.includes(digest) || lists(open, digest, contentsOf))
  }
  const reference = tag ?? digest ?? ''
  if (fetchesTwice === true) {
    const again = near.find((open) => open.references.includes(reference) && !open.repeated.includes(reference))
    if (again) {
      again.repeated.push(reference)
      return again
    }
  }
  if (tag !== undefined) return near.find(({ invocation }) => invocation.gets === 0 && invocation.tag === tag)
  return digest === undefined ? undefined : best(near, digest, contentsOf)
}

/** The oldest of those that fit best. */
const best = (near: readonly OpenInvocation[], digest: string, contentsOf: ContentsOf): OpenInvocation | undefined => {
  let found: OpenInvocation | undefined
  let fit = NOWHERE
  for (const open of near) {
    const its = fitOf(open, digest, contentsOf)
    if (its < fit) [found, fit] = [open, its]
    if (fit === 0) break
  }
  return found
}

const start = (chain: Chain, request: Folded, { windows, emit }: ChainNeeds): OpenInvocation => {
  const { id, at, tag, digest } = request
  const open: OpenInvocation = {
    invocation: {
      ...chain.place,
      what: 'invocation',
      id,
      at,
      last: at,
      by: tag === undefined ? 'digest' : 'tag',
      ...(tag !== undefined && { tag }),
      gets: 0,
      images: [],
      layers: 0,
      bytes: 0,
      startsSession: chain.heard === undefined || at - chain.heard > windows.session,
    },
    named: [],
    fetched: [],
    references: [],
    repeated: [],
    layers: [],
  }
  if (digest !== undefined) open.invocation.digest = digest
  chain.open.push(open)
  const oldest = chain.open.length > MOST_OPEN ? chain.open.shift() : undefined
  if (oldest) emit(oldest.invocation)
  return open
}

const fetch = (open: OpenInvocation, { tag, digest, bytes }: Folded, kind: Kind): void => {
  const { invocation } = open
  invocation.gets++
  invocation.bytes += bytes ?? 0
  open.lastKind = kind
  if (tag !== undefined) remember(open.references, tag)
  if (digest === undefined) {
    delete open.lastDigest
    return
  }
  open.lastDigest = digest
  invocation.digest ??= digest
  if (tag === undefined) remember(open.references, digest)
  remember(open.named, digest)
  remember(open.fetched, digest)
  if (kind === 'image') remember(invocation.images, digest)
}

const addBlob = (chain: Chain, request: Folded, { contentsOf, windows }: ChainNeeds): void => {
  const { digest, at, bytes = 0 } = request
  if (digest === undefined) return
  let listed: OpenInvocation | undefined
  let missing: OpenInvocation | undefined
  let latest: OpenInvocation | undefined
  let isConfig = false
  for (const open of chain.open) {
    if (open.invocation.gets === 0 || at - open.invocation.last > windows.blobs) continue
    latest = open
    const blob = blobIn(open, digest, contentsOf)
    if (blob === undefined) continue
    isConfig = blob === 'config'
    listed = open
    // Several nodes behind one address fetch the same layers: each pull gets its own.
    if (!open.layers.includes(digest)) missing ??= open
  }
  const open = missing ?? listed ?? latest
  if (!open) {
    orphaned(chain, request)
    return
  }
  open.invocation.bytes += bytes
  if (isConfig) return
  if (remember(open.layers, digest)) open.invocation.layers++
}

const orphaned = (chain: Chain, request: Folded): void => {
  const { at, bytes = 0 } = request
  if (chain.orphan) {
    chain.orphan.last = at
    chain.orphan.session.bytes += bytes
  } else chain.orphan = { session: aside(chain, 'orphan', request), last: at }
}

const aside = ({ place }: Chain, what: Aside['what'], { id, at, tag, digest, bytes = 0 }: Folded): Aside => ({
  ...place,
  what,
  id,
  at,
  ...(tag !== undefined && { tag }),
  ...(digest !== undefined && { digest }),
  bytes,
})

/** @returns whether it was new. What is too much to remember is not. */
const remember = (list: string[], one: string): boolean => {
  if (list.includes(one) || list.length >= MOST_IN_ONE) return false
  list.push(one)
  return true
}
