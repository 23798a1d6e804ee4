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

export const isRepositoryPath = (text: string): text is RepositoryPath =>
  text.length <= LONGEST_REPOSITORY && REPOSITORY.test(text)
export const isTag = (text: string): text is Tag => text.length <= LONGEST_TAG && TAG.test(text)
export const isDigest = (text: string): text is Digest => text.length <= LONGEST_DIGEST && DIGEST.test(text)
