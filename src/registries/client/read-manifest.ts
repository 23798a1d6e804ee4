import { isFields, type Fields } from '../../events/json.js'
import { isDigest } from '../../events/reference.js'
import { shortText } from '../../events/side-fields.js'
import {
  ARTIFACT,
  INDEXES,
  isIndex,
  isManifest,
  platformOf,
  readDescriptors,
  type Descriptor,
  type Platform,
} from '../../events/descriptor.js'
import { fieldsIn, unambiguousFieldsIn } from './bounded-json.js'
import type { FetchedManifest } from './registry-client.js'
import { hasRepeatedName } from './repeated-names.js'

const OCI_IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
const DOCKER_IMAGE = 'application/vnd.docker.distribution.manifest.v2+json'
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1+json'
const SIGNED_SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
/** The media type of schema 1 layers in distribution's notifications. */
const SCHEMA_1_LAYER = 'application/vnd.docker.container.image.rootfs.diff+x-gtar'
const IMAGE_CONFIGS: ReadonlySet<string | undefined> = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
])

export type ReadManifest = Omit<FetchedManifest, 'digest' | 'size'>

/**
 * Reads the bytes of a manifest: an image or an index of OCI or Docker, an artifact, or schema 1. The media type in the bytes decides
 * the kind, or without one the shape. If the bytes contain no media type, the header is used, but only for a type of the same shape:
 * the digest does not prove the header, and the media type applies to the digest at all registries.
 * @returns undefined for another kind of document, if programs may read the bytes differently, or if an entry cannot be read
 */
export const readManifest = (bytes: Buffer, servedAs: string | null): ReadManifest | undefined => {
  const fields = unambiguousFieldsIn(bytes)
  if (!fields || !areReadAlike(fields, MANIFEST_FIELDS)) return undefined
  const { key, entries } = listIn(fields) ?? {}
  if (!entries || !key) return undefined
  if (![fields.config, fields.subject, ...entries].every(isEntryReadAlike)) return undefined
  const header = servedAs?.split(';')[0]?.trim()
  const called = [fields.mediaType, ...(header !== undefined && TYPES_OF_SHAPE[key].has(header) ? [header] : [])]
  const nameOr = (usual: string): string => called.find(isImageType) ?? usual
  if (key === 'manifests') return described(fields, called.find(isIndexType) ?? OCI_INDEX, entries)
  if (key === 'fsLayers') return schema1(fields, nameOr(SIGNED_SCHEMA_1), entries)
  if (key === 'blobs') return described(fields, nameOr(OCI_IMAGE), entries)
  const read = described(fields, nameOr(OCI_IMAGE), [fields.config, ...entries])
  return read && withConfig(read)
}

const LISTS = ['manifests', 'fsLayers', 'blobs', 'layers'] as const
type List = { key: (typeof LISTS)[number]; entries: unknown[] }

/** The allowed media types in the header, by the list of the manifest, if the bytes contain no type. An artifact must contain its type. */
const TYPES_OF_SHAPE: Readonly<Record<List['key'], ReadonlySet<string>>> = {
  manifests: INDEXES,
  fsLayers: new Set([SCHEMA_1, SIGNED_SCHEMA_1]),
  blobs: new Set(),
  layers: new Set([OCI_IMAGE, DOCKER_IMAGE]),
}

const TYPES_IN_BYTES: Readonly<Record<List['key'], ReadonlySet<unknown>>> = {
  ...TYPES_OF_SHAPE,
  blobs: new Set([ARTIFACT]),
}

const namesOf = (names: readonly string[]): ReadonlyMap<string, string> =>
  new Map(names.map((name) => [folded(name), name]))

/**
 * Folds a name like Go's encoding/json ("foldName", the simple case folding of Unicode): names that are equal after this are the same
 * field for programs in Go. Beyond ASCII, only `ſ` (as s) and the Kelvin sign (as k, also by `toLowerCase`) matter.
 */
const folded = (name: string): string => name.toLowerCase().replaceAll('\u017f', 's')

const MANIFEST_FIELDS = namesOf([
  ...['mediaType', 'config', 'subject', 'artifactType', 'architecture', 'signatures'],
  ...LISTS,
])
const ENTRY_FIELDS = namesOf(['mediaType', 'digest', 'size', 'platform', 'annotations', 'blobSum', 'urls'])
const PLATFORM_FIELDS = namesOf(['os', 'architecture', 'variant'])
const SIGNATURE_FIELDS = namesOf(['protected', 'formatLength', 'formatTail'])

/** Whether programs in Go read the same fields: they accept a known field's name in any case. */
const areReadAlike = (value: unknown, known: ReadonlyMap<string, string>): boolean =>
  !isFields(value) || Object.keys(value).every((name) => (known.get(folded(name)) ?? name) === name)

const isEntryReadAlike = (entry: unknown): boolean =>
  areReadAlike(entry, ENTRY_FIELDS) && (!isFields(entry) || areReadAlike(entry.platform, PLATFORM_FIELDS))

/**
 * The list that decides the kind of the manifest: the list of the media type in the bytes, or without a media type the only list.
 * Programs in Go write an empty list as null, and an artifact may omit its blobs.
 * @returns undefined if programs may read different lists: two lists have entries, or a list that does not belong to the media type
 */
const listIn = (fields: Fields): List | undefined => {
  const withEntries = LISTS.filter((list) => Array.isArray(fields[list]) && fields[list].length > 0)
  const there = LISTS.filter((list) => Array.isArray(fields[list]) || fields[list] === null)
  const ofType = LISTS.find((list) => TYPES_IN_BYTES[list].has(fields.mediaType))
  const [key, ...others] = ofType ? [ofType] : withEntries.length > 0 ? withEntries : there
  if (key === undefined || others.length > 0 || withEntries.some((list) => list !== key)) return undefined
  if (!there.includes(key) && fields.mediaType !== ARTIFACT) return undefined
  return { key, entries: (fields[key] ?? []) as unknown[] }
}

const isIndexType = (value: unknown): value is string => typeof value === 'string' && isIndex(value)
const isImageType = (value: unknown): value is string =>
  typeof value === 'string' && isManifest(value) && !isIndex(value)

const described = (fields: Fields, mediaType: string, entries: unknown[]): ReadManifest | undefined => {
  const contents = entries.length === 0 ? [] : readDescriptors(entries).descriptors
  if (!contents) return undefined
  const artifactType = shortText(fields.artifactType)
  const subject = isFields(fields.subject) ? fields.subject.digest : undefined
  return {
    mediaType,
    contents,
    ...(artifactType !== undefined && { artifactType }),
    ...(typeof subject === 'string' && isDigest(subject) && { subject }),
  }
}

/** A manifest that is no image and has no artifactType has the type of its config (image-spec 1.1, "artifactType"). */
const withConfig = (read: ReadManifest): ReadManifest => {
  const [config] = read.contents
  if (!config) return read
  const artifactType = IMAGE_CONFIGS.has(config.mediaType) ? undefined : config.mediaType
  return { ...(artifactType !== undefined && { artifactType }), ...read, config: config.digest }
}

/** Schema 1 contains only its layers, each as often as it is used, and the architecture. */
const schema1 = (fields: Fields, mediaType: string, layers: unknown[]): ReadManifest | undefined => {
  const entries = layers.map((layer) => ({
    digest: isFields(layer) ? layer.blobSum : undefined,
    mediaType: SCHEMA_1_LAYER,
  }))
  const read = described({}, mediaType, entries)
  const platform = platformOf({ architecture: fields.architecture })
  return read && { ...read, ...(platform?.architecture !== undefined && { platform }) }
}

/** Whether a config contains the platform of its image. */
export const hasPlatform = (config: Descriptor | undefined): boolean => IMAGE_CONFIGS.has(config?.mediaType)

/**
 * The platform in an image's config (image-spec 1.1, "Image Configuration"); also undefined if programs may read it differently, or if
 * a part of it cannot be read.
 */
export const platformIn = (bytes: Buffer): Platform | undefined => {
  const fields = unambiguousFieldsIn(bytes) ?? {}
  if (!areReadAlike(fields, PLATFORM_FIELDS)) return undefined
  const platform = platformOf(fields)
  return platform?.os === undefined && platform?.architecture === undefined ? undefined : platform
}

/** Bytes without a match have no field `signatures`, however programs fold names. */
const MAY_BE_SIGNED = /\\u|signatures/iu

/**
 * The bytes from which the digest of a manifest is computed: all bytes, but for signed schema 1 without the signatures. These contain
 * their own position (distribution's docs, "Image Manifest Version 2, Schema 1", "Signed Manifests"). For any other manifest,
 * signatures are part of the bytes, so its digest is wrong.
 * @returns undefined if programs may find different bytes
 */
export const digestedBytes = (bytes: Buffer): Buffer | undefined => {
  // `readManifest` rejects bytes that programs may read differently.
  const signatures = MAY_BE_SIGNED.test(bytes.toString('utf8')) ? unambiguousFieldsIn(bytes)?.signatures : undefined
  const [signature] = (Array.isArray(signatures) ? signatures : []) as unknown[]
  if (!areReadAlike(signature, SIGNATURE_FIELDS)) return undefined
  if (!isFields(signature) || typeof signature.protected !== 'string') return bytes
  const header = Buffer.from(signature.protected, 'base64url')
  const protectedHeader = fieldsIn(header)
  if (protectedHeader && (hasRepeatedName(header) || !areReadAlike(protectedHeader, SIGNATURE_FIELDS))) return undefined
  const { formatLength, formatTail } = protectedHeader ?? {}
  if (typeof formatLength !== 'number' || typeof formatTail !== 'string') return bytes
  const payload = Buffer.concat([bytes.subarray(0, formatLength), Buffer.from(formatTail, 'base64url')])
  return fieldsIn(payload)?.schemaVersion === 1 ? payload : bytes
}
