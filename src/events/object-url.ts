import { isDigest, isTag } from './reference.js'

/** What a registry holds, beside tags. */
export type ObjectKind = 'manifest' | 'blob'

const KINDS: ReadonlyMap<string | undefined, ObjectKind> = new Map([
  ['manifests', 'manifest'],
  ['blobs', 'blob'],
])

/**
 * The object that a URL names by the last two segments of its path, `manifests` or `blobs` and a reference (OCI
 * distribution-spec 1.1, "Endpoints"). Every segment before them may be part of a repository's path, `manifests` and `blobs`
 * included. The URL may be relative, have a prefix before /v2/, a query and percent-encoding.
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
