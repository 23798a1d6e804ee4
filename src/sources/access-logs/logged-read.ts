import type { Micros } from '../../events/calendar.js'
import type { Digest, RepositoryPath, Tag } from '../../events/reference.js'
import type { Requester } from '../../events/registry-request.js'
import type { LineClass } from './line-class.js'
import type { LoggedObjectRequest, LoggedRequest } from './log-format.js'

type ReadFields = Requester & {
  at: Micros
  method: 'GET' | 'HEAD'
  status: number
  /** Bytes of the body that the client received. A HEAD and a 304 have no body. */
  bytes?: number
  /** In lower case; missing if it is no host of a registry. */
  host?: string
  requestId?: string
}

/** A read of a registry. */
type RegistryRead = ReadFields & {
  class: 'manifest' | 'blob' | 'tags' | 'referrers'
  repository: RepositoryPath
  tag?: Tag
  digest?: Digest
  mediaType?: string
}

/** A read of a blob in the bucket of a registry. */
export type BucketRead = ReadFields & {
  class: 'download' | 'partial' | 'not_modified' | 'head' | 'failed'
  digest: Digest
  /** Missing if the client sent no Referer header, or that of another object: then the image is unknown. */
  repository?: RepositoryPath
}

export type LoggedRead = RegistryRead | BucketRead

/** What a line is: a read of a registry or of its bucket, or only the class under which the line is counted. */
export type ClassifiedLine = LoggedRead | { class: Exclude<LineClass, LoggedRead['class']> }

/** The fields that reads of registries and of buckets have in common, apart from the host. */
export const readFieldsOf = (line: LoggedRequest | LoggedObjectRequest, method: 'GET' | 'HEAD'): ReadFields => {
  const { at, status, bytes, address, userAgent, user, requestId } = line
  const fields: ReadFields = { at, method, status }
  if (bytes !== undefined && method === 'GET' && status !== NOT_MODIFIED) fields.bytes = bytes
  if (address !== undefined) fields.address = address
  if (userAgent !== undefined) fields.userAgent = userAgent
  if (user !== undefined) fields.user = user
  if (requestId !== undefined) fields.requestId = requestId
  return fields
}

export const NOT_MODIFIED = 304

export const isReading = (method: string): method is 'GET' | 'HEAD' => method === 'GET' || method === 'HEAD'

const WRITING: ReadonlySet<string> = new Set(['POST', 'PATCH', 'PUT', 'DELETE'])
export const isWriting = (method: string): boolean => WRITING.has(method)
