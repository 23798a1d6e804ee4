/**
 * The names of the OCI distribution specification (v1.1, "Pulling manifests"), checked once at the door and branded,
 * so that nothing inside has to wonder whether a string is a repository, a tag or a digest.
 */
export type RepositoryPath = string & { readonly brand: 'repository' }
export type Tag = string & { readonly brand: 'tag' }
export type Digest = string & { readonly brand: 'digest' }

/** Longest accepted, in characters: what registries themselves allow, or more. */
export const LONGEST_REPOSITORY = 255
export const LONGEST_TAG = 128
export const LONGEST_DIGEST = 200

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`)
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]*$/
const DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/

/** The registered digest algorithms (image-spec, "Registered Algorithms"), each with the length of its digests in hex digits. */
export const DIGEST_ALGORITHMS: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha512', 128],
  ['blake3', 64],
])
/** Of a digest that is longer, a referrers tag has so many hex digits (distribution-spec v1.1, "Referrers Tag Schema"). */
const MOST_HEX_IN_TAG = 64
/** How a tag begins that names what refers to a manifest: the manifest's digest. For JavaScript and PostgreSQL. */
export const SUBJECT_IN_TAG = `(?:${[...DIGEST_ALGORITHMS]
  .map(([name, length]) => `${name}-[0-9a-f]{${Math.min(length, MOST_HEX_IN_TAG)}}`)
  .join('|')})`
const REFERRER_TAG = new RegExp(`^${SUBJECT_IN_TAG}(?:\\.(?:sig|att|sbom))?$`)

/**
 * Whether a tag names what refers to a manifest: the list of its referrers (distribution-spec v1.1, "Referrers Tag Schema"), or
 * the signature, the attestations or the SBOM that cosign keeps under a tag.
 */
export const isReferrerTag = (tag: string): boolean => tag.length > MOST_HEX_IN_TAG && REFERRER_TAG.test(tag)

export const isRepositoryPath = (text: string): text is RepositoryPath =>
  text.length <= LONGEST_REPOSITORY && REPOSITORY.test(text)
export const isTag = (text: string): text is Tag => text.length <= LONGEST_TAG && TAG.test(text)
export const isDigest = (text: string): text is Digest => text.length <= LONGEST_DIGEST && DIGEST.test(text)

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Whether a text is a UUID, in letters of either case. */
export const isUuid = (text: string): boolean => UUID.test(text)
