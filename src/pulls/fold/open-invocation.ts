import type { Micros } from '../../events/calendar.js'
import { listsManifest, type ContentsOf, type ManifestContents, type Name } from './contents.js'
import type { Aside, Invocation } from './outcome.js'

/** The kind of a fetched manifest, if it is known. */
export type ManifestKind = ManifestContents['kind'] | 'unknown'

/** An outcome that blobs may still belong to. */
type Open = {
  /** The last request for a manifest or a blob. */
  active: Micros
}

/** An artifact fetch, or a session without a manifest, with the blobs that it has taken. */
export type OpenAside<N extends Name = string> = Aside<N> & Open & { blobs: readonly N[] }

/** An invocation that more requests may join, with the state that decides which requests join. */
export type OpenInvocation<N extends Name = string> = Invocation<N> &
  Open & {
    /** Digests that were requested, or that the tag resolved to, beside the first one. */
    named: readonly N[]
    /** Digests that were fetched. */
    fetched: readonly N[]
    /** References (tags and digests) that were fetched by a client that fetches each manifest twice, and those fetched twice so far. */
    references: readonly N[]
    repeated: readonly N[]
    /** The last manifest that was fetched. */
    lastKind: ManifestKind | undefined
    lastDigest: N | undefined
    fetchedLayers: readonly N[]
    /** Manifests whose configuration was fetched. */
    configured: readonly N[]
  }

const MAX_LIST = 1_000
/** Most invocations are one request: they share one empty list. */
export const EMPTY: readonly never[] = Object.freeze([])

/** Adds an item to a list, unless the list contains the item or is full. */
export const remember = <N extends Name>(list: readonly N[], one: N): readonly N[] => {
  if (list.length === 0) return [one]
  if (list.length < MAX_LIST && !list.includes(one)) (list as N[]).push(one)
  return list
}

/** The weight of a manifest: a look-up of its contents takes as long as ten comparisons of digests. */
const MANIFEST = 10
/** No invocation has a larger weight: each list of an invocation is bounded. */
export const LARGEST_WEIGHT = MAX_LIST * (2 * MANIFEST + 4)

/** The weight of an invocation: how many comparisons a request needs with it. */
export const weightOf = <N extends Name>({
  fetched,
  named,
  references,
  repeated,
  fetchedLayers,
  configured,
}: OpenInvocation<N>): number =>
  MANIFEST * (fetched.length + named.length) +
  references.length +
  repeated.length +
  fetchedLayers.length +
  configured.length

/** The fit of a request that does not belong to an outcome. */
export const NO_FIT = 5

/**
 * How well the GET of a manifest by its digest fits an invocation: the lower the better (docs/definitions-of-numbers.md, "Which
 * requests belong together").
 */
export const fitOf = <N extends Name>(open: OpenInvocation<N>, digest: N, contentsOf: ContentsOf<N>): number => {
  if (open.fetched.includes(digest)) return NO_FIT
  if (isNamed(open, digest)) return 0
  if (lists(open, digest, contentsOf)) return 1
  if (open.lastKind === 'index' && isUnread(open.lastDigest, contentsOf)) return 2
  if (open.lastKind === 'unknown' && open.gets === 1) return 3
  if (open.gets === 0 && open.digest === undefined) return 4
  return NO_FIT
}

export const isNamed = <N extends Name>({ digest: first, named }: OpenInvocation<N>, digest: N): boolean =>
  first === digest || named.includes(digest)

/** Whether an index that the invocation requested is known to list a manifest. */
export const lists = <N extends Name>(
  { digest: first, named }: OpenInvocation<N>,
  digest: N,
  contentsOf: ContentsOf<N>,
): boolean => {
  const isListedIn = (index: N): boolean => listsManifest(contentsOf(index), digest)
  return (first !== undefined && isListedIn(first)) || named.some(isListedIn)
}

const isUnread = <N extends Name>(index: N | undefined, contentsOf: ContentsOf<N>): boolean =>
  index === undefined || contentsOf(index) === undefined

/** The role of a blob in an invocation: a layer, or the configuration of a manifest. */
export type BlobPart<N extends Name = string> = 'layer' | { configOf: N }

/** The role of a blob in an invocation; undefined if no fetched manifest is known to list the blob. */
export const blobIn = <N extends Name>(
  { fetched }: OpenInvocation<N>,
  digest: N,
  contentsOf: ContentsOf<N>,
): BlobPart<N> | undefined => {
  for (const manifest of fetched) {
    const contents = contentsOf(manifest)
    if (contents?.kind !== 'image') continue
    if (contents.layers.has(digest)) return 'layer'
    if (contents.config === digest) return { configOf: manifest }
  }
  return undefined
}

/** Whether the contents of all fetched manifests are known. */
export const hasKnownContents = <N extends Name>(
  { fetched, repeated, gets }: OpenInvocation<N>,
  contentsOf: ContentsOf<N>,
): boolean => fetched.length + repeated.length >= gets && fetched.every((digest) => contentsOf(digest) !== undefined)
