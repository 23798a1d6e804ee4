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
  /** Until when nothing of it ends, so that it need not be looked through for each request. */
  quietUntil: Micros
}

export type ChainNeeds = { contentsOf: ContentsOf; windows: Windows; emit: (outcome: Outcome) => void }

/** Invocations that stay open at a time; an origin that begins more ends the oldest early. */
const MOST_OPEN = 2_000
const MOST_IN_ONE = 1_000
/** Most invocations are one request: they share what they do not need. */
const NONE: readonly string[] = Object.freeze([])
/** No invocation takes manifests for longer, so that a day is over some time. */
export const LONGEST: Micros = 3_600_000_000

export const startChain = (place: Place): Chain => ({ place, open: [], requests: [], quietUntil: 0 })

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
  if (at <= chain.quietUntil) return
  const { join } = windows
  const pulled = Math.max(join, windows.blobs)
  // What begins now, too, stays at least for the shortest window.
  let quietUntil = at + Math.min(join, windows.session)
  const stay = []
  for (const one of chain.open) {
    const { last, gets } = one.invocation
    const end = last + (gets > 0 ? pulled : join)
    if (end < at) emit(one.invocation)
    else {
      stay.push(one)
      if (end < quietUntil) quietUntil = end
    }
  }
  if (stay.length < chain.open.length) chain.open = stay
  if (chain.orphan) {
    const end = chain.orphan.last + windows.session
    if (end < at) endOrphan(chain, emit)
    else quietUntil = Math.min(quietUntil, end)
  }
  if (chain.requests.length > 0) chain.requests = chain.requests.filter(([, when]) => at - when <= join)
  chain.quietUntil = quietUntil
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
  else if (request.digest !== undefined) open.named = remember(open.named, request.digest)
}

const joinedBy = (
  chain: Chain,
  request: Folded,
  needs: Pick<ChainNeeds, 'contentsOf' | 'windows'>,
): OpenInvocation | undefined => {
  const { tag, digest, at, fetchesTwice } = request
  const { contentsOf, windows } = needs
  const isNear = ({ invocation }: OpenInvocation): boolean =>
    at - invocation.last <= windows.join && at - invocation.at <= LONGEST
  if (!isGet(request)) {
    if (tag !== undefined || digest === undefined) return undefined
    return chain.open.find((open) => isNear(open) && (open.named.includes(digest) || lists(open, digest, contentsOf)))
  }
  const reference = tag ?? digest ?? ''
  if (fetchesTwice === true) {
    const again = chain.open.find(
      (open) => isNear(open) && open.references.includes(reference) && !open.repeated.includes(reference),
    )
    if (again) return again
  }
  if (tag !== undefined)
    return chain.open.find((open) => open.invocation.gets === 0 && open.invocation.tag === tag && isNear(open))
  if (digest === undefined) return undefined
  // The oldest of those that fit best.
  let found: OpenInvocation | undefined
  let fit = NOWHERE
  for (const open of chain.open) {
    if (!isNear(open)) continue
    const its = fitOf(open, digest, contentsOf)
    if (its >= fit) continue
    found = open
    fit = its
    if (fit === 0) break
  }
  return found
}

const start = (chain: Chain, request: Folded, { windows, emit }: ChainNeeds): OpenInvocation => {
  const { id, at, tag, digest } = request
  const { registry, repository, origin } = chain.place
  // Written out: spreading takes most of the time that a request takes in all.
  const open: OpenInvocation = {
    invocation: {
      registry,
      repository,
      origin,
      what: 'invocation',
      id,
      at,
      last: at,
      by: tag === undefined ? 'digest' : 'tag',
      tag,
      digest,
      gets: 0,
      images: NONE,
      layers: 0,
      bytes: 0,
      startsSession: chain.heard === undefined || at - chain.heard > windows.session,
    },
    named: digest === undefined ? NONE : [digest],
    fetched: NONE,
    references: NONE,
    repeated: NONE,
    lastKind: undefined,
    lastDigest: undefined,
    layers: NONE,
  }
  chain.open.push(open)
  const oldest = chain.open.length > MOST_OPEN ? chain.open.shift() : undefined
  if (oldest) emit(oldest.invocation)
  return open
}

const fetch = (open: OpenInvocation, { tag, digest, bytes, fetchesTwice }: Folded, kind: Kind): void => {
  const { invocation } = open
  const reference = tag ?? digest
  if (fetchesTwice === true && reference !== undefined) {
    if (open.references.includes(reference)) open.repeated = remember(open.repeated, reference)
    open.references = remember(open.references, reference)
  }
  invocation.gets++
  invocation.bytes += bytes ?? 0
  open.lastKind = kind
  open.lastDigest = digest
  if (digest === undefined) return
  invocation.digest ??= digest
  open.named = remember(open.named, digest)
  open.fetched = remember(open.fetched, digest)
  if (kind === 'image') invocation.images = remember(invocation.images, digest)
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
  open.layers = remember(open.layers, digest)
  open.invocation.layers = open.layers.length
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

/** What is too much to remember is not. */
const remember = (list: readonly string[], one: string): readonly string[] =>
  list.includes(one) || list.length >= MOST_IN_ONE ? list : [...list, one]
