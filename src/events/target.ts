import { isDigest, type Digest } from './reference.js'

/** What a registry holds, beside tags. */
export type ObjectKind = 'manifest' | 'blob'

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

type Hints = { url: string | undefined; mediaType: string | undefined; tag: string | undefined }

/**
 * Whether an event is about a manifest or a blob. The path of its URL tells for certain; without one (relative or missing)
 * the media type does: blobs are always octet-streams, whatever their manifest calls them. Deletes have neither.
 */
export const objectKindOf = ({ url, mediaType, tag }: Hints): ObjectKind | undefined => {
  if (url?.includes('/manifests/')) return 'manifest'
  if (url?.includes('/blobs/')) return 'blob'
  if (mediaType === undefined) return undefined
  if (MANIFESTS.has(mediaType) || tag !== undefined) return 'manifest'
  return BLOBS.has(mediaType) ? 'blob' : undefined
}

/** A URL of a manifest holds a repository (255) and a digest (200). */
const LONGEST_TEXT = 1_024
const LARGEST_SIZE = Number.MAX_SAFE_INTEGER

/**
 * The entries of `target.references`, in their order; undefined when there are none or one of them cannot be read: a part of
 * a manifest would be worse than none, which is read from the registry.
 */
export const descriptorsIn = (value: unknown): Descriptor[] | undefined => {
  if (!Array.isArray(value) || value.length === 0) return undefined
  const descriptors = value.map(descriptorOf)
  return descriptors.every((descriptor) => descriptor !== undefined) ? descriptors : undefined
}

const descriptorOf = (value: unknown): Descriptor | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  const { digest, mediaType, size, platform } = value as Record<string, unknown>
  if (typeof digest !== 'string' || !isDigest(digest)) return undefined
  const type = shortText(mediaType)
  const bytes = sizeOf(size)
  const known = platformOf(platform)
  return {
    digest,
    ...(type !== undefined && { mediaType: type }),
    ...(bytes !== undefined && { size: bytes }),
    ...(known && { platform: known }),
  }
}

/** Layers that may not be distributed are kept elsewhere: a registry takes manifests without them. */
export const isKeptHere = ({ mediaType = '' }: Descriptor): boolean => !/foreign|nondistributable/.test(mediaType)

/** A count of bytes; undefined for anything else. */
export const sizeOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LARGEST_SIZE ? value : undefined

const platformOf = (value: unknown): Platform | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  const fields = value as Record<string, unknown>
  const [os, architecture, variant] = [shortText(fields.os), shortText(fields.architecture), shortText(fields.variant)]
  return { ...(os && { os }), ...(architecture && { architecture }), ...(variant && { variant }) }
}

/** Text that can be stored; undefined for anything else. */
export const shortText = (value: unknown): string | undefined =>
  typeof value === 'string' &&
  value !== '' &&
  value.length <= LONGEST_TEXT &&
  !value.includes('\0') &&
  value.isWellFormed()
    ? value
    : undefined
