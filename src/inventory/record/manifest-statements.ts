import { manifestKindOf, type Descriptor } from '../../events/descriptor.js'
import type { RegistryEvent } from '../../events/registry-event.js'

/** What events state about the content of a digest; a missing field is unknown. */
export type ManifestStatement = {
  /** The kind of a stored list without a known type, of which the entries may not have been read. */
  kind?: 'image' | 'index'
  mediaType?: string
  /** Bytes of the manifest; 0 means unknown, since no manifest is empty. */
  size?: number
  /** The blobs of an image, or the manifests that an index lists, in their order. */
  contents?: readonly Descriptor[]
}

/**
 * What an event states about its manifest. A list of unknown kind is unknown: taken for the list of an image, it would hide the
 * manifests of an index. So is a media type that shows no kind, unless the list does.
 */
export const statementOf = ({
  mediaType,
  size,
  references,
}: Pick<RegistryEvent, 'mediaType' | 'size' | 'references'>): ManifestStatement => {
  const isKnown = manifestKindOf(mediaType, references) !== undefined
  return {
    ...(isKnown && mediaType !== undefined && { mediaType }),
    ...(size !== undefined && { size }),
    ...(isKnown && references && { contents: references }),
  }
}

/**
 * Joins two statements about one digest, in either order. A digest has one content, so if two statements differ in kind (image
 * or index), size or an entry of the list, one of them is wrong.
 * @returns undefined if they contradict each other; with the list of `a` itself if `b` adds nothing to it.
 */
export const joinStatements = (a: ManifestStatement, b: ManifestStatement): ManifestStatement | undefined => {
  if (differ(kindOf(a), kindOf(b)) || differ(knownSize(a), knownSize(b))) return undefined
  const contents = a.contents && b.contents ? joinContents(a.contents, b.contents) : (a.contents ?? b.contents)
  if (a.contents && b.contents && !contents) return undefined
  const mediaType = greatest(a.mediaType, b.mediaType)
  const size = greatest(a.size, b.size)
  return {
    ...(mediaType !== undefined && { mediaType }),
    ...(size !== undefined && { size }),
    ...(contents && { contents }),
  }
}

/** Whether a list has every field that another statement of the same list has. */
export const isComplete = (list: readonly Descriptor[], joined: readonly Descriptor[]): boolean =>
  joinContents(list, joined) === list

const knownSize = ({ size }: ManifestStatement): number | undefined => (size === 0 ? undefined : size)

const kindOf = ({ kind, mediaType, contents }: ManifestStatement): 'image' | 'index' | undefined =>
  kind ?? manifestKindOf(mediaType, contents)

const joinContents = (a: readonly Descriptor[], b: readonly Descriptor[]): readonly Descriptor[] | undefined => {
  if (a === b) return a
  if (a.length !== b.length) return undefined
  const joined: Descriptor[] = []
  for (const [i, entry] of a.entries()) {
    const other = b[i]
    const both = other && joinEntries(entry, other)
    if (!both) return undefined
    joined.push(both)
  }
  return joined.every((entry, i) => entry === a[i]) ? a : joined
}

/** @returns `a` itself if `b` adds nothing. */
const joinEntries = (a: Descriptor, b: Descriptor): Descriptor | undefined => {
  const [ofA, ofB] = [fieldsOf(a), fieldsOf(b)]
  if (ofA.some((field, i) => differ(field, ofB[i]))) return undefined
  if (ofA.every((field, i) => field !== undefined || ofB[i] === undefined)) return a
  const platform = { ...a.platform, ...b.platform }
  return { ...a, ...b, ...(Object.keys(platform).length > 0 && { platform }) }
}

const fieldsOf = ({ digest, mediaType, size, platform }: Descriptor): (string | number | undefined)[] => [
  digest,
  mediaType,
  size,
  platform?.os,
  platform?.architecture,
  platform?.variant,
]

const differ = <T>(a: T | undefined, b: T | undefined): boolean => a !== undefined && b !== undefined && a !== b

const greatest = <T extends string | number>(a: T | undefined, b: T | undefined): T | undefined =>
  a === undefined || (b !== undefined && b > a) ? b : a
