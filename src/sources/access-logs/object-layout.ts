import { DIGEST_ALGORITHMS, isDigest, type Digest } from '../../events/reference.js'

/** A blob, an object that only the registry itself reads, or an object of another program. */
export type StoredObject = { kind: 'blob'; digest: Digest } | { kind: 'internal' } | { kind: 'foreign' }

const FOREIGN: StoredObject = { kind: 'foreign' }
const INTERNAL: StoredObject = { kind: 'internal' }

/** Container Registry: one flat space for layers and configs, beside the tags and manifests of the repositories. */
const IMAGES = 'containers/images/'
const REPOSITORIES = 'containers/repositories/'
/** CNCF distribution's storage drivers (distribution, `registry/storage/paths.go`), below any root directory. */
const DISTRIBUTION = 'docker/registry/v2/'
const BLOB = /^blobs\/([a-z0-9]{1,20})\/([0-9a-f]{2})\/(\2[0-9a-f]{1,200})\/data$/

/** What an object in a registry's bucket is, by its name. */
export const parseObjectName = (name: string): StoredObject => {
  if (name.startsWith(IMAGES)) {
    const [algorithm = '', hex = '', ...rest] = name.slice(IMAGES.length).split(':', 3)
    return rest.length === 0 ? blobOf(algorithm, hex) : FOREIGN
  }
  if (name.startsWith(REPOSITORIES)) return INTERNAL
  const below = belowDistribution(name)
  if (below === undefined) return FOREIGN
  if (below.startsWith('repositories/')) return INTERNAL
  const [, algorithm, , hex] = BLOB.exec(below) ?? []
  return algorithm === undefined || hex === undefined ? FOREIGN : blobOf(algorithm, hex)
}

const belowDistribution = (name: string): string | undefined => {
  const start = name.startsWith(DISTRIBUTION) ? 0 : name.indexOf(`/${DISTRIBUTION}`) + 1
  return start > 0 || name.startsWith(DISTRIBUTION) ? name.slice(start + DISTRIBUTION.length) : undefined
}

const HEX = /^[0-9a-f]+$/

const blobOf = (algorithm: string, hex: string): StoredObject => {
  const digest = `${algorithm}:${hex}`
  const isKnown = DIGEST_ALGORITHMS.get(algorithm) === hex.length && HEX.test(hex)
  return isKnown && isDigest(digest) ? { kind: 'blob', digest } : FOREIGN
}
