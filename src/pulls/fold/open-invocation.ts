import type { Micros } from '../../events/calendar.js'
import { listsManifest, type ManifestContents, type ContentsOf } from './contents.js'
import type { Aside, Invocation } from './outcome.js'

/** The kind of a fetched manifest, if it is known. */
export type ManifestKind = ManifestContents['kind'] | 'unknown'

/** An outcome that blobs may still belong to. */
type Open = {
  /** The last request for a manifest or a blob. */
  active: Micros
}

/** An artifact fetch, or a session without a manifest, with the blobs that it has taken. */
export type OpenAside = Aside & Open & { blobs: readonly string[] }

/** An invocation that more requests may join, with the state that decides which requests join. */
export type OpenInvocation = Invocation &
  Open & {
    /** Digests that were requested, or that the tag resolved to, beside the first one. */
    named: readonly string[]
    /** Digests that were fetched. */
    fetched: readonly string[]
    /** References (tags and digests) that were fetched by a client that fetches each manifest twice, and those fetched twice so far. */
    references: readonly string[]
    repeated: readonly string[]
    /** The last manifest that was fetched. */
    lastKind: ManifestKind | undefined
    lastDigest: string | undefined
    fetchedLayers: readonly string[]
    /** Manifests whose configuration was fetched. */
    configured: readonly string[]
  }

const MAX_LIST = 1_000
/** Most invocations are one request: they share one empty list. */
export const EMPTY: readonly string[] = Object.freeze([])

/** Adds an item to a list, unless the list contains the item or is full. */
export const remember = (list: readonly string[], one: string): readonly string[] => {
  if (list.length === 0) return [one]
  if (list.length < MAX_LIST && !list.includes(one)) (list as string[]).push(one)
  return list
}

/** The weight of a manifest: a look-up of its contents takes as long as ten comparisons of digests. */
const MANIFEST = 10
/** No invocation has a larger weight: each list of an invocation is bounded. */
export const LARGEST_WEIGHT = MAX_LIST * (2 * MANIFEST + 4)

/** The weight of an invocation: how many comparisons a request needs with it. */
export const weightOf = ({ fetched, named, references, repeated, fetchedLayers, configured }: OpenInvocation): number =>
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
export const fitOf = (open: OpenInvocation, digest: string, contentsOf: ContentsOf): number => {
  if (open.fetched.includes(digest)) return NO_FIT
  if (isNamed(open, digest)) return 0
  if (lists(open, digest, contentsOf)) return 1
  if (open.lastKind === 'index' && isUnread(open.lastDigest, contentsOf)) return 2
  if (open.lastKind === 'unknown' && open.gets === 1) return 3
  if (open.gets === 0 && open.digest === undefined) return 4
  return NO_FIT
}

export const isNamed = ({ digest: first, named }: OpenInvocation, digest: string): boolean =>
  first === digest || named.includes(digest)

/** Whether an index that the invocation requested is known to list a manifest. */
export const lists = ({ digest: first, named }: OpenInvocation, digest: string, contentsOf: ContentsOf): boolean => {
  const isListedIn = (index: string): boolean => listsManifest(contentsOf(index), digest)
  return (first !== undefined && isListedIn(first)) || named.some(isListedIn)
}

const isUnread = (index: string | undefined, contentsOf: ContentsOf): boolean =>
  index === undefined || contentsOf(index) === undefined

/** The role of a blob in an invocation: a layer, or the configuration of a manifest. */
export type BlobPart = 'layer' | { configOf: string }

/** The role of a blob in an invocation; undefined if no fetched manifest is known to list the blob. */
export const blobIn = ({ fetched }: OpenInvocation, digest: string, contentsOf: ContentsOf): BlobPart | undefined => {
  for (const manifest of fetched) {
    const contents = contentsOf(manifest)
    if (contents?.kind !== 'image') continue
    if (contents.layers.has(digest)) return 'layer'
    if (contents.config === digest) return { configOf: manifest }
  }
  return undefined
}

/** Whether the contents of all fetched manifests are known. */
export const hasKnownContents = ({ fetched, repeated, gets }: OpenInvocation, contentsOf: ContentsOf): boolean =>
  fetched.length + repeated.length >= gets && fetched.every((digest) => contentsOf(digest) !== undefined)
