/**
 * Names of the OCI distribution specification (v1.1, "Pulling manifests"). They are checked once, when data arrives, and then
 * have types of their own. So other code need not check whether a text is a repository, a tag or a digest.
 */
export type RepositoryPath = string & { readonly brand: 'repository' }
export type Tag = string & { readonly brand: 'tag' }
export type Digest = string & { readonly brand: 'digest' }

/** The largest accepted lengths in characters: at least the limits of registries themselves. */
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
/** A referrers tag contains at most this many hex digits of a digest (distribution-spec v1.1, "Referrers Tag Schema"). */
const MOST_HEX_IN_TAG = 64
/**
 * The beginning of a tag for referrers: it contains the digest of the manifest to which they refer. A regular expression for
 * JavaScript and PostgreSQL.
 */
export const SUBJECT_IN_TAG = `(?:${[...DIGEST_ALGORITHMS]
  .map(([name, length]) => `${name}-[0-9a-f]{${Math.min(length, MOST_HEX_IN_TAG)}}`)
  .join('|')})`
const REFERRER_TAG = new RegExp(`^${SUBJECT_IN_TAG}(?:\\.(?:sig|att|sbom))?$`)

/**
 * Whether a tag is for referrers of a manifest: the list of referrers (distribution-spec v1.1, "Referrers Tag Schema"), or a
 * signature, attestations or an SBOM that cosign stores under a tag.
 */
export const isReferrerTag = (tag: string): boolean => tag.length > MOST_HEX_IN_TAG && REFERRER_TAG.test(tag)

export const isRepositoryPath = (text: string): text is RepositoryPath =>
  text.length <= LONGEST_REPOSITORY && REPOSITORY.test(text)
export const isTag = (text: string): text is Tag => text.length <= LONGEST_TAG && TAG.test(text)
export const isDigest = (text: string): text is Digest => text.length <= LONGEST_DIGEST && DIGEST.test(text)

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Whether a text is a UUID, in upper or lower case. */
export const isUuid = (text: string): boolean => UUID.test(text)
