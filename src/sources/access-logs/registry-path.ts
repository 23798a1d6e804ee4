import {
  isDigest,
  isRepositoryPath,
  isTag,
  type Digest,
  type RepositoryPath,
  type Tag,
} from '../../events/reference.js'
import { percentDecoded } from '../../runtime/percent-decoded.js'

/** What a path of a registry names (OCI distribution-spec v1.1, "Endpoints"). */
export type RegistryPath =
  | { endpoint: 'manifest'; repository: RepositoryPath; tag?: Tag; digest?: Digest }
  | { endpoint: 'blob' | 'referrers'; repository: RepositoryPath; digest: Digest }
  | { endpoint: 'tags'; repository: RepositoryPath }
  /** `invalid` has the form of an endpoint, but the repository, the tag or the digest is not valid. */
  | { endpoint: 'base' | 'catalog' | 'upload' | 'invalid' | 'other' }

const BASE = '/v2/'
const OTHER: RegistryPath = { endpoint: 'other' }
const INVALID: RegistryPath = { endpoint: 'invalid' }

/**
 * Reads the path of a request target. The last two segments are the endpoint and the reference; all earlier ones belong to the
 * repository, even the words `manifests` and `blobs`. The path may have a prefix before /v2/, a query, and be percent-encoded.
 */
export const parseRegistryPath = (target: string): RegistryPath => {
  const [encoded = ''] = target.split(/[?#]/, 1)
  const path = percentDecoded(encoded) ?? encoded
  if (path === '/v2') return { endpoint: 'base' }
  const base = path.indexOf(BASE)
  if (base < 0) return OTHER
  const rest = path.slice(base + BASE.length)
  if (rest === '') return { endpoint: 'base' }
  if (rest === '_catalog') return { endpoint: 'catalog' }
  const end = rest.lastIndexOf('/')
  const start = rest.lastIndexOf('/', end - 1)
  if (end < 1) return OTHER
  return toPath(rest.slice(0, Math.max(0, start)), rest.slice(start + 1, end), rest.slice(end + 1))
}

const toPath = (name: string, endpoint: string, reference: string): RegistryPath => {
  if (endpoint === 'uploads' && name.endsWith('/blobs')) return { endpoint: 'upload' }
  const isTags = endpoint === 'tags' && reference === 'list'
  if (!isTags && endpoint !== 'manifests' && endpoint !== 'blobs' && endpoint !== 'referrers') return OTHER
  if (!isRepositoryPath(name)) return INVALID
  if (isTags) return { endpoint: 'tags', repository: name }
  if (isDigest(reference))
    return { endpoint: ENDPOINTS[endpoint as keyof typeof ENDPOINTS], repository: name, digest: reference }
  if (endpoint === 'manifests' && isTag(reference)) return { endpoint: 'manifest', repository: name, tag: reference }
  return INVALID
}

const ENDPOINTS = { manifests: 'manifest', blobs: 'blob', referrers: 'referrers' } as const
