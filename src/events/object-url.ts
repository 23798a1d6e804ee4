import { isDigest, isTag } from './reference.js'

/** The kinds of objects in a registry, apart from tags. */
export type ObjectKind = 'manifest' | 'blob'

const KINDS: ReadonlyMap<string | undefined, ObjectKind> = new Map([
  ['manifests', 'manifest'],
  ['blobs', 'blob'],
])

/**
 * Reads the kind and the reference of an object from the last two segments of a URL's path: `manifests` or `blobs`, then a tag or
 * digest (OCI distribution-spec 1.1, "Endpoints"). All earlier segments may belong to the path of a repository, even the words
 * `manifests` and `blobs`. The URL may be relative, have a prefix before /v2/ or a query, and be percent-encoded.
 * @returns undefined for any other URL
 */
export const parseObjectUrl = (url: string): { kind: ObjectKind; reference: string } | undefined => {
  const path = /^[^?#]*/.exec(url)?.[0] ?? ''
  const end = path.lastIndexOf('/')
  const kind = KINDS.get(path.slice(path.lastIndexOf('/', end - 1) + 1, end))
  const reference = decoded(path.slice(end + 1))
  if (kind === undefined || reference === undefined) return undefined
  return isDigest(reference) || isTag(reference) ? { kind, reference } : undefined
}

const decoded = (segment: string): string | undefined => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}
