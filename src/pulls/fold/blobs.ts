import type { Micros } from '../../events/calendar.js'
import { addedBytes } from './blob-bytes.js'
import { listsBlob } from './contents.js'
import { blobIn, isRead, NONE, remember, type OpenAside, type OpenInvocation, type Part } from './open-invocation.js'
import { asideOf } from './outcome.js'
import { longestBlobs, type Chain, type ChainNeeds, type Folded } from './state.js'

type BlobNeeds = Pick<ChainNeeds, 'contentsOf' | 'windows'>

/** What may take a blob. */
type Candidates<Taker> = {
  /** The oldest that lists the blob and has not taken it. */
  missing: Taker | undefined
  /** The latest that lists the blob. */
  listed: Taker | undefined
  latest: Taker | undefined
}

/** Gives a blob to the pull or the artifact fetch that it belongs to, else to a session without a manifest. */
export const addBlob = (chain: Chain, request: Folded, needs: ChainNeeds): void => {
  if (request.digest === undefined) return
  const pulls = pullsFor(chain, request.at, request.digest, needs)
  const taker = takerOf(chain, pulls, request.at, request.digest, needs)
  if (!taker) takeWithoutManifest(chain, request, needs)
  else if (taker.what !== 'invocation') take(taker, request, needs)
  else takeForPull(taker, request, taker === pulls.missing ? pulls.missingPart : pulls.listedPart, needs)
}

/** Whether a blob may still belong to an invocation or an artifact fetch. */
export const mayTakeBlob = (chain: Chain, at: Micros, { windows }: Pick<ChainNeeds, 'windows'>): boolean =>
  chain.open.some(({ gets, active }) => gets > 0 && at - active <= windows.blobs) ||
  chain.artifacts.some(({ active }) => at - active <= windows.blobs)

const takerOf = (
  chain: Chain,
  { missing, listed, latest }: Pulls,
  at: Micros,
  digest: string,
  needs: BlobNeeds,
): OpenInvocation | OpenAside | undefined => {
  if (missing || chain.artifacts.length === 0) return missing ?? listed ?? latest
  const artifacts = artifactsFor(chain, at, digest, needs)
  // If all contents of a pull are known, a blob that they do not list is rather of the artifact of which nothing is known.
  const isOfArtifact = artifacts.unread && latest && isRead(latest, needs.contentsOf)
  return (
    artifacts.missing ??
    listed ??
    artifacts.listed ??
    (isOfArtifact === true ? artifacts.unread : latest) ??
    artifacts.unread ??
    artifacts.latest
  )
}

/** With what the blob is to each: nothing is known of it to a pull that does not list it. */
type Pulls = Candidates<OpenInvocation> & { missingPart: Part | undefined; listedPart: Part | undefined }

const pullsFor = (chain: Chain, at: Micros, digest: string, needs: BlobNeeds): Pulls => {
  const { contentsOf, windows } = needs
  let missing: OpenInvocation | undefined
  let listed: OpenInvocation | undefined
  let latest: OpenInvocation | undefined
  let missingPart: Part | undefined
  let listedPart: Part | undefined
  for (const open of chain.open) {
    if (open.gets === 0 || at - open.active > windows.blobs) continue
    latest = open
    const part = blobIn(open, digest, contentsOf)
    if (part === undefined) continue
    listed = open
    listedPart = part
    // Several nodes behind one address fetch the same layers: each pull gets its own.
    if (!missing && !hasTaken(open, digest, part) && mayChange(open, at, needs)) {
      missing = open
      missingPart = part
    }
  }
  return { missing, listed, latest, missingPart, listedPart }
}

const hasTaken = (open: OpenInvocation, digest: string, part: Part | undefined): boolean =>
  typeof part === 'object' ? open.configured.includes(part.configOf) : open.fetchedLayers.includes(digest)

const artifactsFor = (
  chain: Chain,
  at: Micros,
  digest: string,
  needs: BlobNeeds,
): Candidates<OpenAside> & { unread?: OpenAside } => {
  const found: ReturnType<typeof artifactsFor> = { missing: undefined, listed: undefined, latest: undefined }
  for (const open of chain.artifacts) {
    if (at - open.active > needs.windows.blobs) continue
    found.latest = open
    const contents = open.digest === undefined ? undefined : needs.contentsOf(open.digest)
    if (!contents) found.unread = open
    if (!listsBlob(contents, digest)) continue
    found.listed = open
    if (!open.blobs.includes(digest) && mayChange(open, at, needs)) found.missing ??= open
  }
  return found
}

/** What began too long ago takes blobs without a change, so that they are in no session without a manifest. */
const mayChange = ({ at: began }: { at: Micros }, at: Micros, { windows }: Pick<ChainNeeds, 'windows'>): boolean =>
  at - began <= longestBlobs(windows)

const takeForPull = (open: OpenInvocation, request: Folded, part: Part | undefined, needs: BlobNeeds): void => {
  const { digest = '', at } = request
  open.active = at
  if (!mayChange(open, at, needs)) return
  const isTaken = hasTaken(open, digest, part)
  open.bytes += addedBytes(open, request, digest, isTaken)
  if (isTaken) return
  if (typeof part === 'object') {
    open.configured = remember(open.configured, part.configOf)
    return
  }
  open.fetchedLayers = remember(open.fetchedLayers, digest)
  open.layers = open.fetchedLayers.length
}

const take = (open: OpenAside, request: Folded, needs: BlobNeeds): void => {
  const { digest = '', at } = request
  open.active = at
  if (!mayChange(open, at, needs)) return
  open.bytes += addedBytes(open, request, digest, open.blobs.includes(digest))
  open.blobs = remember(open.blobs, digest)
}

const takeWithoutManifest = (chain: Chain, request: Folded, needs: ChainNeeds): void => {
  const { at } = request
  if (chain.orphan && mayChange(chain.orphan, at, needs)) {
    take(chain.orphan, request, needs)
    return
  }
  if (chain.orphan) needs.emit(chain.orphan)
  chain.orphan = openAside(asideOf(chain.place, 'orphan', { ...request, bytes: 0 }))
  take(chain.orphan, request, needs)
}

/** An artifact fetch or a session without a manifest, of which blobs are to come. */
export const openAside = (aside: ReturnType<typeof asideOf>): OpenAside => ({
  ...aside,
  active: aside.at,
  parts: undefined,
  blobs: NONE,
})
