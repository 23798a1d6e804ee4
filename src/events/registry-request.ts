import type { Micros } from './calendar.js'
import type { Digest, RepositoryPath, Tag } from './reference.js'
import type { RegistryEvent } from './registry-event.js'

/** What a request was for, by the path of the OCI distribution specification (v1.1, "Endpoints"). */
type Requested = 'manifest' | 'blob' | 'tags' | 'referrers'

/** One HTTP request that reads something from a registry, whoever tells of it: a notification, an access log, a gateway. */
export type RegistryRequest = {
  /** Two tellings of one request from the same source have the same. */
  id: string
  /** The registry's own name for the HTTP request: what it tells of one request in several parts has the same. */
  requestId?: string
  at: Micros
  /** The name under which the registry is known. */
  registry: string
  repository: RepositoryPath
  object: Requested
  method: 'GET' | 'HEAD'
  /** HTTP status of the answer. */
  status: number
  /** Of a manifest: the tag that was asked for. */
  tag?: Tag
  /** What was asked for by digest; of a manifest asked for by tag, what the answer was, where the source tells. */
  digest?: Digest
  mediaType?: string
  /** Bytes of the answer's body. */
  bytes?: number
}

/**
 * The request that a notification tells of; undefined of anything but a pull. A registry tells only of answers that it began
 * to give: a pull that ended as a 404 looks like any other (distribution's docs, "Notifications").
 */
export const requestOf = (event: RegistryEvent): RegistryRequest | undefined => {
  const { id, requestId, at, action, registry, repository, object, method, tag, digest, mediaType, size } = event
  if (action !== 'pull' || object === undefined) return undefined
  const isHead = method === 'HEAD'
  return {
    id,
    ...(requestId !== undefined && { requestId }),
    at,
    registry,
    repository,
    object,
    method: isHead ? 'HEAD' : 'GET',
    status: 200,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
    ...(mediaType !== undefined && { mediaType }),
    ...(size !== undefined && !isHead && { bytes: size }),
  }
}
