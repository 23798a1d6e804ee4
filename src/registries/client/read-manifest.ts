import { isFields, type Fields } from '../../events/json.js'
import { isDigest } from '../../events/reference.js'
import { shortText } from '../../events/side-fields.js'
import {
  ARTIFACT,
  INDEXES,
  isIndex,
  isManifest,
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
/** What distribution calls the layers of schema 1 in its notifications. */
const SCHEMA_1_LAYER = 'application/vnd.docker.container.image.rootfs.diff+x-gtar'
const IMAGE_CONFIGS: ReadonlySet<string | undefined> = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
])

export type ReadManifest = Omit<FetchedManifest, 'digest' | 'size'>

/**
 * Reads the bytes of a manifest: an image or an index of OCI or Docker, an artifact, or schema 1. Its media type is the one in the bytes,
 * and decides which; without one, its shape does. The header is used if the bytes contain none, and only for a type of the same shape: the digest does
 * not prove the header, and the media type applies to the digest at all registries.
 * @returns undefined when it is none of them, when programs may read it differently, or one of its entries cannot be read.
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

/** Media types that a manifest with a list may be served as if it does not contain its type. An artifact has to contain it. */
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
 * Two names are one field for programs in Go if they are equal after this ("foldName" of encoding/json, the simple case folding of Unicode). Beyond
 * ASCII, `ſ` is an s and the Kelvin sign is a k, whose lower case is k as well.
 */
const folded = (name: string): string => name.toLowerCase().replaceAll('\u017f', 's')

const MANIFEST_FIELDS = namesOf([
  ...['mediaType', 'config', 'subject', 'artifactType', 'architecture', 'signatures'],
  ...LISTS,
])
const ENTRY_FIELDS = namesOf(['mediaType', 'digest', 'size', 'platform', 'annotations', 'blobSum', 'urls'])
const PLATFORM_FIELDS = namesOf(['os', 'architecture', 'variant'])
const SIGNATURE_FIELDS = namesOf(['protected', 'formatLength', 'formatTail'])

/** Whether programs in Go read these fields as well: they take a name in any case for a field that they know. */
const areReadAlike = (value: unknown, known: ReadonlyMap<string, string>): boolean =>
  !isFields(value) || Object.keys(value).every((name) => (known.get(folded(name)) ?? name) === name)

const isEntryReadAlike = (entry: unknown): boolean =>
  areReadAlike(entry, ENTRY_FIELDS) && (!isFields(entry) || areReadAlike(entry.platform, PLATFORM_FIELDS))

/**
 * The list that says what kind of manifest this is: that of the media type in the bytes, or, without one, the only list there is. Programs in
 * Go write an empty list as null, and an artifact may leave out its blobs.
 * @returns undefined if programs may read different lists: with entries in two of them, or in one that is not of the media type
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

/** What is no image is of the type of its config, unless it names one (image-spec 1.1, "artifactType"). */
const withConfig = (read: ReadManifest): ReadManifest => {
  const [config] = read.contents
  if (!config) return read
  const artifactType = IMAGE_CONFIGS.has(config.mediaType) ? undefined : config.mediaType
  return { ...(artifactType !== undefined && { artifactType }), ...read, config: config.digest }
}

/** Schema 1 names its layers alone, each as often as it is used, and the architecture. */
const schema1 = (fields: Fields, mediaType: string, layers: unknown[]): ReadManifest | undefined => {
  const entries = layers.map((layer) => ({
    digest: isFields(layer) ? layer.blobSum : undefined,
    mediaType: SCHEMA_1_LAYER,
  }))
  const read = described({}, mediaType, entries)
  const architecture = shortText(fields.architecture)
  return read && { ...read, ...(architecture !== undefined && { platform: { architecture } }) }
}

/** Whether the config of an image says for which platform it is. */
export const hasPlatform = (config: Descriptor | undefined): boolean => IMAGE_CONFIGS.has(config?.mediaType)

/** The platform in the config of an image (image-spec 1.1, "Image Configuration"); undefined also when programs may read it differently. */
export const platformIn = (bytes: Buffer): Platform | undefined => {
  const fields = unambiguousFieldsIn(bytes) ?? {}
  if (!areReadAlike(fields, PLATFORM_FIELDS)) return undefined
  const [os, architecture, variant] = [shortText(fields.os), shortText(fields.architecture), shortText(fields.variant)]
  return os === undefined && architecture === undefined
    ? undefined
    : { ...(os && { os }), ...(architecture && { architecture }), ...(variant && { variant }) }
}

/** Bytes without this have no field `signatures`, however programs fold its name. */
const MAY_BE_SIGNED = /\\u|signatures/iu

/**
 * The bytes that the digest of a manifest is made of: all of them, but of signed schema 1 without the signatures, which say
 * themselves where they were put in (distribution's docs, "Image Manifest Version 2, Schema 1", "Signed Manifests"). Signatures around
 * the bytes of any other manifest are part of what was served, so its digest is wrong.
 * @returns undefined when programs may find different bytes
 */
export const digestedBytes = (bytes: Buffer): Buffer | undefined => {
  // Of bytes that programs may read differently, `readManifest` reads nothing.
  const signatures = MAY_BE_SIGNED.test(bytes.toString('utf8')) ? unambiguousFieldsIn(bytes)?.signatures : undefined
  const [signature] = (Array.isArray(signatures) ? signatures : []) as unknown[]
  if (!areReadAlike(signature, SIGNATURE_FIELDS)) return undefined
  if (!isFields(signature) || typeof signature.protected !== 'string') return bytes
  const header = Buffer.from(signature.protected, 'base64url')
  const place = fieldsIn(header)
  if (place && (hasRepeatedName(header) || !areReadAlike(place, SIGNATURE_FIELDS))) return undefined
  const { formatLength, formatTail } = place ?? {}
  if (typeof formatLength !== 'number' || typeof formatTail !== 'string') return bytes
  const payload = Buffer.concat([bytes.subarray(0, formatLength), Buffer.from(formatTail, 'base64url')])
  return fieldsIn(payload)?.schemaVersion === 1 ? payload : bytes
}
