import type { Digest, RepositoryPath } from '../../events/reference.js'
import { toHost } from '../../events/registry-host.js'
import type { LoggedObjectRequest } from './log-format.js'
import {
  isReading,
  isWriting,
  NOT_MODIFIED,
  readFieldsOf,
  type BucketRead,
  type ClassifiedLine,
} from './logged-read.js'
import { parseObjectName } from './object-layout.js'
import { parseRegistryPath } from './registry-path.js'
import { splitUrl } from './request-line.js'

/** Decides what a request to the bucket of a registry is. */
export const classifyObjectRequest = (line: LoggedObjectRequest): ClassifiedLine => {
  const { method, object, operation, status } = line
  if (isWriting(method)) return { class: isLifecycle(line) ? 'lifecycle' : 'push' }
  if (!isReading(method)) return { class: 'other' }
  if (object === undefined) return { class: LISTING.has(operation) ? 'listing' : 'other' }
  const stored = parseObjectName(object)
  if (stored.kind === 'foreign') return { class: 'other' }
  if (stored.kind === 'internal' || isReadByRegistry(line)) return { class: 'service_read' }
  if (status === 0) return { class: 'unanswered' }
  const outcome = outcomeOf(method, status)
  if (outcome === undefined) return { class: 'other' }
  return {
    class: outcome,
    ...readFieldsOf(line, method),
    digest: stored.digest,
    ...referredBy(line.referer, stored.digest),
  }
}

/** Cloud Storage's docs, "Object Lifecycle Management". Rules write and delete, and never read. */
const isLifecycle = ({ userAgent }: LoggedObjectRequest): boolean => userAgent === 'GCS Lifecycle Management'

/** Lists of objects: Cloud Storage's XML and JSON APIs, S3 and Azure. */
const LISTING: ReadonlySet<string> = new Set([
  'GET_Bucket',
  'storage.objects.list',
  'REST.GET.BUCKET',
  'REST.GET.BUCKETVERSIONS',
  'ListBlobs',
])

/** The clients of buckets that distribution's storage drivers use. A client of a registry that is redirected uses none of them. */
const STORAGE_CLIENT =
  /^(?:docker-distribution|aws-sdk-go|azsdk-go|azure-sdk-for-go|gcloud-golang|google-api-go-client|google-cloud)/i

/** Redirected clients use the XML API of Cloud Storage, so a read through the JSON API is one of metadata. */
const isReadByRegistry = ({ operation, referer, userAgent }: LoggedObjectRequest): boolean =>
  operation === 'storage.objects.get' || (referer === undefined && STORAGE_CLIENT.test(userAgent ?? ''))

const outcomeOf = (method: 'GET' | 'HEAD', status: number): BucketRead['class'] | undefined => {
  if (status >= 400) return 'failed'
  if (method === 'HEAD') return 'head'
  return OUTCOMES.get(status)
}

const OUTCOMES: ReadonlyMap<number, BucketRead['class']> = new Map([
  [200, 'download'],
  [206, 'partial'],
  [NOT_MODIFIED, 'not_modified'],
])

/**
 * The image and the host of a registry's URL from which a client was redirected: `https://HOST/v2/<name>/blobs/<digest>`. A URL with
 * the digest of another object says nothing about this one.
 */
const referredBy = (
  referer: string | undefined,
  digest: Digest,
): { repository: RepositoryPath; host?: string } | undefined => {
  const url = referer !== undefined && /^https?:/i.test(referer) ? splitUrl(referer) : undefined
  if (url?.host === undefined) return undefined
  const path = parseRegistryPath(url.target)
  if (path.endpoint !== 'blob' && path.endpoint !== 'manifest') return undefined
  if (path.digest !== undefined && path.digest !== digest) return undefined
  const { repository } = path
  const host = toHost(url.host)
  return host === undefined ? { repository } : { repository, host }
}
