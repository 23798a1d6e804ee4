import { isFields } from './json.js'
import { parseObjectUrl, type ObjectKind } from './object-url.js'
import { isDigest, type Digest } from './reference.js'
import { isMissing, shortText } from './side-fields.js'

export type { ObjectKind } from './object-url.js'

/** One entry of a manifest, as an OCI descriptor says it (image-spec 1.1, "Content Descriptors"). */
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
/** The media types of manifests, indexes among them. */
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

/** Whether this is a media type that only manifests have, indexes among them. */
export const isManifest = (mediaType: string): boolean => MANIFESTS.has(mediaType)

type Hints = {
  url: string | undefined
  mediaType: string | undefined
  tag: string | undefined
  references: readonly Descriptor[] | undefined
}

/**
 * Whether an event is about a manifest or a blob. The path of its URL decides. Without one, a tag or references decide, which
 * only manifests have, and then the media type: blobs are always octet-streams, whatever their manifest calls them. Deletes
 * have none of these.
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
 * Entries of one manifest. Registries take manifests of 4 MiB (OCI distribution-spec 1.1, "Pushing Manifests"), and an entry
 * with nothing but a SHA-256 digest has 85 bytes: no legal manifest has more.
 */
const MOST_ENTRIES = 50_000

type Descriptors = {
  /** In their order; undefined when there are none, or when one of them has no readable digest. */
  descriptors?: Descriptor[]
  /** Whether all that was sent is in them. */
  isWhole: boolean
}

/**
 * Reads the entries of a manifest. Part of a manifest would be worse than nothing, since the registry can be asked for all of
 * it: an entry without a readable digest makes all of them unknown. What else of an entry cannot be read is unknown alone.
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

/** The platform that BuildKit gives to what an index lists beside images. */
const UNKNOWN_PLATFORM: Platform = { os: 'unknown', architecture: 'unknown' }

/** Whether an entry of an index is an attestation of another entry (BuildKit, "Image attestation storage"). */
const isAttestation = (annotations: unknown): boolean =>
  typeof annotations === 'object' && annotations !== null && 'vnd.docker.reference.type' in annotations

/**
 * How the media types of layers begin that may not be distributed (Docker's "foreign" layers, OCI's "non-distributable" ones),
 * as a regular expression for JavaScript and SQL. A registry takes a manifest without these layers, but clients can push them
 * all the same: only an event of the blob itself shows that a repository has one.
 */
export const FOREIGN_LAYER =
  '^application/vnd[.](docker[.]image[.]rootfs[.]foreign[.]diff|oci[.]image[.]layer[.]nondistributable[.]v1)[.]tar'
const FOREIGN = new RegExp(FOREIGN_LAYER)

/** Whether a repository that has the manifest has this entry of it, too: a registry refuses the manifest otherwise. */
export const isImplied = ({ mediaType = '' }: Descriptor): boolean => !FOREIGN.test(mediaType)

/**
 * Bytes below which an index lists nothing. The smallest one that lists a manifest has 145, without spaces, its own media type,
 * and with a media type of three characters: {"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:…","size":1}]}.
 * An index that lists nothing has about 90.
 */
export const SMALLEST_LISTING_INDEX = 145

/** Whether the size of a manifest proves that it is an index without manifests. Notifications of such an index have no references. */
export const isEmptyIndex = (mediaType: string | undefined, size: number | undefined): boolean =>
  isIndex(mediaType) && size !== undefined && size > 0 && size < SMALLEST_LISTING_INDEX

/** 8 TiB, far more than any registry takes as one blob. Sums of a million such sizes fit into 64 bits. */
const LARGEST_SIZE = 2 ** 43

/** The bytes of a manifest or a blob; undefined for anything else, and for more than 8 TiB. */
export const sizeOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LARGEST_SIZE ? value : undefined

const platformOf = (value: unknown): Platform | undefined => {
  if (!isFields(value)) return undefined
  const [os, architecture, variant] = [shortText(value.os), shortText(value.architecture), shortText(value.variant)]
  return { ...(os && { os }), ...(architecture && { architecture }), ...(variant && { variant }) }
}
