import type { Contents, ContentsOf } from './contents.js'
import type { Invocation } from './outcome.js'

/** What a manifest that was fetched is, as far as anybody knows. */
export type Kind = Contents['kind'] | 'unknown'

/** An invocation that more requests may join, and what is needed to tell which. */
export type OpenInvocation = {
  invocation: Invocation
  /** Digests that it asked for, or that its tag was answered with. */
  named: readonly string[]
  /** Digests that were fetched. */
  fetched: readonly string[]
  /** References (tags and digests) that were fetched, and those that were fetched twice by a client that does so. */
  references: readonly string[]
  repeated: readonly string[]
  /** The last manifest that was fetched. */
  lastKind: Kind | undefined
  lastDigest: string | undefined
  /** Layers that were fetched. */
  layers: readonly string[]
}

/** A request that fits nowhere. */
export const NOWHERE = 5

/**
 * How well the GET of a manifest by its digest fits an invocation: the lower the better (docs/definitions-of-numbers.md, "Which
 * requests belong together").
 */
export const fitOf = (open: OpenInvocation, digest: string, contentsOf: ContentsOf): number => {
  if (open.fetched.includes(digest)) return NOWHERE
  if (open.named.includes(digest)) return 0
  if (lists(open, digest, contentsOf)) return 1
  if (open.lastKind === 'index' && isUnread(open.lastDigest, contentsOf)) return 2
  if (open.lastKind === 'unknown' && open.invocation.gets === 1) return 3
  if (open.invocation.gets === 0 && open.named.length === 0) return 4
  return NOWHERE
}

/** Whether an index that it asked for is known to list a manifest. */
export const lists = ({ named }: OpenInvocation, digest: string, contentsOf: ContentsOf): boolean =>
  named.some((one) => {
    const contents = contentsOf(one)
    return contents?.kind === 'index' && contents.children.has(digest)
  })

const isUnread = (index: string | undefined, contentsOf: ContentsOf): boolean =>
  index === undefined || contentsOf(index) === undefined

/** What a blob is to an invocation: a layer or the configuration of an image that it fetched; undefined when it lists none. */
export const blobIn = (
  { fetched }: OpenInvocation,
  digest: string,
  contentsOf: ContentsOf,
): 'layer' | 'config' | undefined => {
  for (const one of fetched) {
    const contents = contentsOf(one)
    if (contents?.kind !== 'image') continue
    if (contents.layers.has(digest)) return 'layer'
    if (contents.config === digest) return 'config'
  }
  return undefined
}
