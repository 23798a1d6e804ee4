import type { Micros } from '../../events/calendar.js'
import { listsBlob, type Name } from './contents.js'
import {
  blobIn,
  hasKnownContents,
  EMPTY,
  NO_FIT,
  remember,
  type OpenAside,
  type OpenInvocation,
  type BlobPart,
} from './open-invocation.js'
import { addBytes, asideOf, type Aside } from './outcome.js'
import { longestBlobs, type Chain, type ChainRequest, type FoldDeps } from './state.js'

type BlobDeps<N extends Name> = Pick<FoldDeps<N>, 'contentsOf' | 'windows'>

/** The open pulls, or artifact fetches, that may take a blob. */
type Candidates<Taker> = {
  /** The oldest one that lists the blob and has not taken the blob. */
  missing: Taker | undefined
  /** The latest one that lists the blob. */
  listed: Taker | undefined
  /** One with some unknown contents, so that it may list the blob. */
  unread: Taker | undefined
  latest: Taker | undefined
}

/** Gives a blob to the pull or the artifact fetch that it belongs to, else to a session without a manifest. */
export const addBlob = <N extends Name>(chain: Chain<N>, request: ChainRequest<N>, deps: FoldDeps<N>): void => {
  const { at, digest } = request
  if (digest === undefined) return
  const pulls = pullsFor(chain, at, digest, deps)
  const taker = takerOf(chain, pulls, at, digest, deps)
  if (!taker) takeWithoutManifest(chain, request, deps)
  else if (taker.what !== 'invocation') take(taker, request, deps)
  else takeForPull(taker, request, taker === pulls.missing ? pulls.missingPart : pulls.listedPart, deps)
}

/** How well a blob fits a chain: 0 if an outcome lists and lacks the blob; the lower the better. */
export const blobFit = <N extends Name>(
  chain: Chain<N>,
  { at, digest }: ChainRequest<N>,
  deps: BlobDeps<N>,
): number => {
  if (digest === undefined) return NO_FIT
  const pulls = pullsFor(chain, at, digest, deps)
  const artifacts = artifactsFor(chain, at, digest, deps)
  if (pulls.missing ?? artifacts.missing) return 0
  if (pulls.listed ?? artifacts.listed) return 1
  if (pulls.unread ?? artifacts.unread) {
    const isTaken = pulls.unread?.fetchedLayers.includes(digest) ?? artifacts.unread?.blobs.includes(digest)
    return isTaken === true ? 3 : 2
  }
  return (pulls.latest ?? artifacts.latest) ? 4 : NO_FIT
}

const takerOf = <N extends Name>(
  chain: Chain<N>,
  { missing, listed, unread, latest }: Pulls<N>,
  at: Micros,
  digest: N,
  deps: BlobDeps<N>,
): OpenInvocation<N> | OpenAside<N> | undefined => {
  if (missing || chain.artifacts.length === 0) return missing ?? listed ?? unread ?? latest
  const artifacts = artifactsFor(chain, at, digest, deps)
  // If a pull has only known contents and does not list the blob, the blob more likely belongs to an artifact of unknown
  // contents.
  return artifacts.missing ?? listed ?? artifacts.listed ?? unread ?? artifacts.unread ?? latest ?? artifacts.latest
}

/** The candidates, and which part of the pull the blob is: only a pull that lists the blob determines that. */
type Pulls<N extends Name> = Candidates<OpenInvocation<N>> & {
  missingPart: BlobPart<N> | undefined
  listedPart: BlobPart<N> | undefined
}

const pullsFor = <N extends Name>(chain: Chain<N>, at: Micros, digest: N, deps: BlobDeps<N>): Pulls<N> => {
  const { contentsOf, windows } = deps
  let missing: OpenInvocation<N> | undefined
  let listed: OpenInvocation<N> | undefined
  let latestUnread: OpenInvocation<N> | undefined
  let oldestLacking: OpenInvocation<N> | undefined
  let latest: OpenInvocation<N> | undefined
  let missingPart: BlobPart<N> | undefined
  let listedPart: BlobPart<N> | undefined
  for (const open of chain.open) {
    if (open.gets === 0 || !isWithin(open, at, windows.blobs)) continue
    latest = open
    const part = blobIn(open, digest, contentsOf)
    if (part === undefined) {
      if (hasKnownContents(open, contentsOf)) continue
      latestUnread = open
      if (!oldestLacking && lacks(open, at, digest, part, deps)) oldestLacking = open
      continue
    }
    listed = open
    listedPart = part
    // Several nodes behind one address fetch the same layers: each pull gets its own.
    if (!missing && lacks(open, at, digest, part, deps)) {
      missing = open
      missingPart = part
    }
  }
  // The latest pull is the most likely one; if it has the blob already, another node behind the same address fetches the blob.
  const isLatest = latestUnread !== undefined && lacks(latestUnread, at, digest, undefined, deps)
  const unread = isLatest ? latestUnread : (oldestLacking ?? latestUnread)
  return { missing, listed, unread, latest, missingPart, listedPart }
}

/** A blob belongs to no outcome that began later. Requests in order never cause such a case. */
const isWithin = ({ at: began, active }: { at: Micros; active: Micros }, at: Micros, window: Micros): boolean =>
  at >= began && at - active <= window

const lacks = <N extends Name>(
  open: OpenInvocation<N>,
  at: Micros,
  digest: N,
  part: BlobPart<N> | undefined,
  deps: BlobDeps<N>,
): boolean => !hasTaken(open, digest, part) && mayChange(open, at, deps)

const hasTaken = <N extends Name>(open: OpenInvocation<N>, digest: N, part: BlobPart<N> | undefined): boolean =>
  typeof part === 'object' ? open.configured.includes(part.configOf) : open.fetchedLayers.includes(digest)

const artifactsFor = <N extends Name>(
  chain: Chain<N>,
  at: Micros,
  digest: N,
  deps: BlobDeps<N>,
): Candidates<OpenAside<N>> => {
  const found: Candidates<OpenAside<N>> = {
    missing: undefined,
    listed: undefined,
    unread: undefined,
    latest: undefined,
  }
  for (const open of chain.artifacts) {
    if (!isWithin(open, at, deps.windows.blobs)) continue
    found.latest = open
    const contents = open.digest === undefined ? undefined : deps.contentsOf(open.digest)
    if (!contents) found.unread = open
    if (!listsBlob(contents, digest)) continue
    found.listed = open
    if (!open.blobs.includes(digest) && mayChange(open, at, deps)) found.missing ??= open
  }
  return found
}

/**
 * Whether a blob may still change an outcome. An outcome that began too long ago takes the blob without a change, so that the
 * blob starts no session without a manifest.
 */
const mayChange = ({ at: began }: { at: Micros }, at: Micros, { windows }: Pick<FoldDeps, 'windows'>): boolean =>
  at - began <= longestBlobs(windows)

const takeForPull = <N extends Name>(
  open: OpenInvocation<N>,
  request: ChainRequest<N>,
  part: BlobPart<N> | undefined,
  deps: BlobDeps<N>,
): void => {
  const { digest, at, bytes } = request
  if (digest === undefined) return
  open.active = Math.max(open.active, at)
  // However often a blob is requested, its bytes count once.
  if (!lacks(open, at, digest, part, deps)) return
  open.bytes = addBytes(open.bytes, bytes)
  if (typeof part === 'object') {
    open.configured = remember(open.configured, part.configOf)
    return
  }
  open.fetchedLayers = remember(open.fetchedLayers, digest)
  open.layers = open.fetchedLayers.length
}

const take = <N extends Name>(open: OpenAside<N>, request: ChainRequest<N>, deps: BlobDeps<N>): void => {
  const { digest, at, bytes } = request
  if (digest === undefined) return
  open.active = Math.max(open.active, at)
  if (open.blobs.includes(digest) || !mayChange(open, at, deps)) return
  open.bytes = addBytes(open.bytes, bytes)
  open.blobs = remember(open.blobs, digest)
}

const takeWithoutManifest = <N extends Name>(chain: Chain<N>, request: ChainRequest<N>, deps: FoldDeps<N>): void => {
  const { orphan } = chain
  const isEarlier = orphan !== undefined && request.at < orphan.at
  if (orphan && !isEarlier && mayChange(orphan, request.at, deps)) {
    take(orphan, request, deps)
    return
  }
  if (orphan) deps.emit(orphan)
  chain.orphan = openAside(asideOf(chain.key, 'orphan', { ...request, bytes: 0 }))
  // A layer of which the bytes are counted in the session that began later counts there alone.
  if (isEarlier) chain.orphan.blobs = [...orphan.blobs]
  take(chain.orphan, request, deps)
}

/** Starts an artifact fetch or a session without a manifest, which may take blobs. */
export const openAside = <N extends Name>(aside: Aside<N>): OpenAside<N> => ({
  ...aside,
  active: aside.at,
  blobs: EMPTY,
})
