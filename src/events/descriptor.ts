import { isFields } from './json.js'
import { parseObjectUrl, type ObjectKind } from './object-url.js'
import { isDigest, type Digest } from './reference.js'
import { isMissing, shortText } from './side-fields.js'

export type { ObjectKind } from './object-url.js'

/** One entry of a manifest, with the fields of an OCI descriptor (image-spec 1.1, "Content Descriptors"). */
export type Descriptor = {
  digest: Digest
  mediaType?: string
  /** Bytes. */
  size?: number
  platform?: Platform
}

export type Platform = { os?: string; architecture?: string; variant?: string }

/** The media types of manifests that list other manifests, one for each platform. */
export const INDEXES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
])
/** The media type of artifacts in the release candidates of OCI 1.1, still in use. */
export const ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
/** The media types of manifests, including indexes. */
export const MANIFESTS: ReadonlySet<string> = new Set([
  ...INDEXES,
  'application/vnd.oci.image.manifest.v1+json',
  ARTIFACT,
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
])
const BLOBS: ReadonlySet<string> = new Set([
  'application/octet-stream',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
])

export const isIndex = (mediaType: string | undefined): boolean => mediaType !== undefined && INDEXES.has(mediaType)

/** Whether a media type belongs to a manifest, which may be an index. */
export const isManifest = (mediaType: string): boolean => MANIFESTS.has(mediaType)

/** A type that names a manifest or an index, although MANIFESTS lacks it. */
const LIKE_MANIFEST = /manifest|index/i

/**
 * Whether a manifest is an image or an index: the rule for all that is stored. Its media type decides if it is a known one. Otherwise
 * its list does: a manifest among the entries shows an index. Entries of known other types show an image.
 * @returns undefined if that is unknown, as for a list with an entry whose type is missing
 */
export const manifestKindOf = (
  mediaType: string | undefined,
  contents: readonly Descriptor[] | undefined,
): 'image' | 'index' | undefined => {
  if (mediaType !== undefined && isManifest(mediaType)) return isIndex(mediaType) ? 'index' : 'image'
  if (!contents) return undefined
  if (contents.some((entry) => entry.mediaType !== undefined && isManifest(entry.mediaType))) return 'index'
  const isImage = contents.every((entry) => entry.mediaType !== undefined && !LIKE_MANIFEST.test(entry.mediaType))
  return contents.length > 0 && isImage ? 'image' : undefined
}

/** Whether a manifest is an index, by manifestKindOf. */
export const isIndexManifest = ({
  mediaType,
  contents,
}: {
  mediaType?: string | undefined
  contents?: readonly Descriptor[] | undefined
}): boolean => manifestKindOf(mediaType, contents) === 'index'

type Hints = {
  url: string | undefined
  mediaType: string | undefined
  tag: string | undefined
  references: readonly Descriptor[] | undefined
}

/**
 * Whether an event is about a manifest or a blob; undefined if the event does not show it, for example a delete. The path of the
 * URL decides. Without a URL, a tag or references decide, because only manifests have them. Otherwise the media type decides:
 * registries report every blob as an octet-stream, whatever its manifest calls it.
 */
export const objectKindOf = ({ url, mediaType, tag, references }: Hints): ObjectKind | undefined => {
  const named = url === undefined ? undefined : parseObjectUrl(url)
  if (named) return named.kind
  if (tag !== undefined || references) return 'manifest'
  if (mediaType === undefined) return undefined
  if (MANIFESTS.has(mediaType)) return 'manifest'
  return BLOBS.has(mediaType) ? 'blob' : undefined
}

/**
 * The largest number of entries of one manifest. Registries accept manifests of up to 4 MiB (OCI distribution-spec 1.1, "Pushing
 * Manifests"), and an entry with only a SHA-256 digest has 85 bytes. So no legal manifest has more entries.
 */
const MOST_ENTRIES = 50_000

type Descriptors = {
  /** In the order of the manifest; undefined if the list is empty, or if an entry has no readable digest. */
  descriptors?: Descriptor[]
  /** Whether every field of every entry was readable. */
  isWhole: boolean
}

/**
 * Reads the entries of a manifest. If one entry has no readable digest, all entries are unknown: an incomplete list would be
 * worse than none, because Tallyman can still read the whole manifest from the registry. If another field of an entry is
 * unreadable, only that field is unknown.
 */
export const readDescriptors = (value: unknown): Descriptors => {
  if (isMissing(value) || (Array.isArray(value) && value.length === 0)) return { isWhole: true }
  if (!Array.isArray(value) || value.length > MOST_ENTRIES) return { isWhole: false }
  const read = value.map(readDescriptor)
  const descriptors = read.flatMap((one) => one?.descriptor ?? [])
  return descriptors.length === value.length
    ? { descriptors, isWhole: read.every((one) => one?.isWhole) }
    : { isWhole: false }
}

const readDescriptor = (value: unknown): { descriptor: Descriptor; isWhole: boolean } | undefined => {
  if (!isFields(value)) return undefined
  const { digest, mediaType, size, platform, annotations } = value
  if (typeof digest !== 'string' || !isDigest(digest)) return undefined
  const type = shortText(mediaType)
  const bytes = sizeOf(size)
  const known = isAttestation(annotations) ? UNKNOWN_PLATFORM : platformOf(platform)
  const isWhole =
    (type !== undefined || isMissing(mediaType)) &&
    (bytes !== undefined || isMissing(size)) &&
    (known !== undefined || isMissing(platform))
  return {
    descriptor: {
      digest,
      ...(type !== undefined && { mediaType: type }),
      ...(bytes !== undefined && { size: bytes }),
      ...(known && { platform: known }),
    },
    isWhole,
  }
}

/** The platform that BuildKit sets for the entries of an index that are no images. */
const UNKNOWN_PLATFORM: Platform = { os: 'unknown', architecture: 'unknown' }

/** Whether an entry of an index is an attestation of another entry (BuildKit, "Image attestation storage"). */
const isAttestation = (annotations: unknown): boolean =>
  typeof annotations === 'object' && annotations !== null && 'vnd.docker.reference.type' in annotations

/**
 * The beginnings of the media types of layers that may not be distributed (Docker's "foreign" layers, OCI's "non-distributable"
 * layers), as a regular expression for JavaScript and SQL. A registry accepts a manifest without these layers, but clients can
 * still push them. So only an event of the layer itself shows that a repository has it.
 */
export const FOREIGN_LAYER =
  '^application/vnd[.](docker[.]image[.]rootfs[.]foreign[.]diff|oci[.]image[.]layer[.]nondistributable[.]v1)[.]tar'
const FOREIGN = new RegExp(FOREIGN_LAYER)

/**
 * Whether a repository that has the manifest must also have this entry, because the registry would otherwise refuse the manifest.
 */
export const isImplied = ({ mediaType = '' }: Descriptor): boolean => !FOREIGN.test(mediaType)

/**
 * An index with fewer bytes lists nothing. The smallest index with one entry has 145 bytes:
 * {"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:…","size":1}]}, with a media type of three characters. An
 * index without entries has about 90 bytes.
 */
export const SMALLEST_LISTING_INDEX = 145

/** Whether the size of a manifest proves that it is an index without manifests. Notifications of such an index have no references. */
export const isEmptyIndex = (mediaType: string | undefined, size: number | undefined): boolean =>
  isIndex(mediaType) && size !== undefined && size > 0 && size < SMALLEST_LISTING_INDEX

/** 8 TiB, far more than any registry accepts as one blob. The sum of a million such sizes fits into 64 bits. */
const LARGEST_SIZE = 2 ** 43

/** The bytes of a manifest or a blob; undefined for anything else, and for more than 8 TiB. */
export const sizeOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LARGEST_SIZE ? value : undefined

/** Characters of each part of a platform. The longest that Go and Docker know have fewer than 16. */
const LONGEST_PLATFORM_PART = 64
/** The characters that containerd accepts in a part of a platform. */
const PLATFORM_PART = new RegExp(`^[A-Za-z0-9._-]{1,${LONGEST_PLATFORM_PART}}$`)

/**
 * Reads a platform. Clients choose all parts, and pulls are grouped by them, so that each part is bounded.
 * @returns undefined if a part cannot be read: the other parts alone may name another platform
 */
export const platformOf = (value: unknown): Platform | undefined => {
  if (!isFields(value)) return undefined
  const platform: Platform = {}
  for (const part of ['os', 'architecture', 'variant'] as const) {
    const text = value[part]
    if (isMissing(text)) continue
    if (typeof text !== 'string' || !PLATFORM_PART.test(text)) return undefined
    platform[part] = text
  }
  return platform
}
