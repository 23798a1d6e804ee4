import { ARTIFACT, isIndex } from '../../events/descriptor.js'
import { openAside } from './blobs.js'
import { listsManifest, type ContentsOf, type Name } from './contents.js'
import {
  fitOf,
  isNamed,
  lists,
  EMPTY,
  NO_FIT,
  remember,
  type ManifestKind,
  type OpenAside,
  type OpenInvocation,
} from './open-invocation.js'
import { addBytes, asideOf } from './outcome.js'
import {
  isGet,
  MAX_INVOCATION,
  MAX_OPEN,
  MAX_OPEN_ARTIFACTS,
  type Chain,
  type FoldDeps,
  type ChainRequest,
} from './state.js'

/**
 * The kind of the requested manifest. A manifest is an artifact if a referrer tag names it, if a fetched list of referrers lists
 * it, or if it is known to refer to another manifest.
 */
const kindOf = <N extends Name>(
  { artifacts }: Chain<N>,
  { tag, digest, mediaType }: ChainRequest<N>,
  { contentsOf, isReferrerTag }: FoldDeps<N>,
): ManifestKind => {
  if (tag !== undefined && isReferrerTag(tag)) return 'artifact'
  if (artifacts.length > 0 && tag === undefined && isListedIn(artifacts, digest, contentsOf)) return 'artifact'
  const known = digest === undefined ? undefined : contentsOf(digest)
  if (known) return known.kind
  if (mediaType === undefined) return 'unknown'
  if (mediaType === ARTIFACT && tag === undefined) return 'artifact'
  return isIndex(mediaType) ? 'index' : 'image'
}

/** Whether one of the artifacts lists a manifest. */
const isListedIn = <N extends Name>(
  artifacts: readonly OpenAside<N>[],
  digest: N | undefined,
  contentsOf: ContentsOf<N>,
): boolean =>
  digest !== undefined &&
  artifacts.some(({ digest: list }) => list !== undefined && listsManifest(contentsOf(list), digest))

export const addManifest = <N extends Name>(chain: Chain<N>, request: ChainRequest<N>, deps: FoldDeps<N>): void => {
  const kind = kindOf(chain, request, deps)
  if (kind === 'artifact') {
    if (isGet(request)) startArtifact(chain, request, deps)
    return
  }
  const joined = joinedBy(chain, request, deps)
  if (joined) deps.onJoin?.(request.at - joined.last)
  const open = joined ?? start(chain, request, deps)
  open.last = Math.max(open.last, request.at)
  open.active = Math.max(open.active, request.at)
  if (isGet(request)) fetch(open, request, kind)
  else if (request.digest !== undefined) name(open, request.digest)
}

export const joinedBy = <N extends Name>(
  chain: Chain<N>,
  request: ChainRequest<N>,
  deps: Pick<FoldDeps<N>, 'contentsOf' | 'windows'>,
): OpenInvocation<N> | undefined => {
  const { tag, digest, at, fetchesTwice } = request
  const { contentsOf, windows } = deps
  const isNear = (open: OpenInvocation<N>): boolean =>
    at >= open.at && at - open.last <= windows.join && at - open.at <= MAX_INVOCATION
  if (!isGet(request)) {
    if (tag !== undefined || digest === undefined) return undefined
    return chain.open.find((open) => isNear(open) && (isNamed(open, digest) || lists(open, digest, contentsOf)))
  }
  const reference = tag ?? digest
  if (fetchesTwice === true && reference !== undefined) {
    const again = chain.open.find(
      (open) => isNear(open) && open.references.includes(reference) && !open.repeated.includes(reference),
    )
    if (again) return again
  }
  if (tag !== undefined) return chain.open.find((open) => open.gets === 0 && open.tag === tag && isNear(open))
  if (digest === undefined) return undefined
  // Of equal fits, the oldest invocation wins.
  let found: OpenInvocation<N> | undefined
  let fit = NO_FIT
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

const startArtifact = <N extends Name>(chain: Chain<N>, request: ChainRequest<N>, { emit }: FoldDeps<N>): void => {
  chain.artifacts.push(openAside(asideOf(chain.key, 'artifact', request)))
  const oldest = chain.artifacts.length > MAX_OPEN_ARTIFACTS ? chain.artifacts.shift() : undefined
  if (oldest) emit(oldest)
}

const start = <N extends Name>(chain: Chain<N>, request: ChainRequest<N>, { emit }: FoldDeps<N>): OpenInvocation<N> => {
  const { id, at, tag, digest } = request
  const { registry, repository, origin } = chain.key
  // Every property is written out: a spread would take most of the time of a request.
  const open: OpenInvocation<N> = {
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
    images: EMPTY,
    layers: 0,
    bytes: 0,
    startsSession: chain.awaitsSession,
    named: EMPTY,
    fetched: EMPTY,
    references: EMPTY,
    repeated: EMPTY,
    lastKind: undefined,
    lastDigest: undefined,
    fetchedLayers: EMPTY,
    configured: EMPTY,
    active: at,
  }
  chain.awaitsSession = false
  chain.open.push(open)
  const oldest = chain.open.length > MAX_OPEN ? chain.open.shift() : undefined
  if (oldest) emit(oldest)
  return open
}

const fetch = <N extends Name>(
  open: OpenInvocation<N>,
  { tag, digest, bytes, fetchesTwice }: ChainRequest<N>,
  kind: ManifestKind,
): void => {
  const reference = tag ?? digest
  const isRepeated =
    (digest !== undefined && open.fetched.includes(digest)) ||
    (reference !== undefined && open.references.includes(reference))
  if (fetchesTwice === true && reference !== undefined) {
    if (open.references.includes(reference)) open.repeated = remember(open.repeated, reference)
    open.references = remember(open.references, reference)
  }
  open.gets++
  if (!isRepeated) open.bytes = addBytes(open.bytes, bytes)
  open.lastKind = kind
  open.lastDigest = digest
  if (digest === undefined) return
  name(open, digest)
  open.fetched = remember(open.fetched, digest)
  if (kind === 'image') open.images = remember(open.images, digest)
}

const name = <N extends Name>(open: OpenInvocation<N>, digest: N): void => {
  if (open.digest === undefined) open.digest = digest
  else if (open.digest !== digest) open.named = remember(open.named, digest)
}
