import type { Micros } from './calendar.js'
import type { Digest, RepositoryPath, Tag } from './reference.js'
import type { EventId, RegistryEvent } from './registry-event.js'

/** What a request was for, by the path of the OCI distribution specification (v1.1, "Endpoints"). */
type Requested = 'manifest' | 'blob' | 'tags' | 'referrers'

/** Where requests are reported. A new source is one more name here. */
export const REQUEST_SOURCES = ['notification'] as const
export type RequestSource = (typeof REQUEST_SOURCES)[number]

/** Who made a request. What is kept of it, `requesters/` decides: the address is never stored and never logged. */
export type Requester = {
  /** IP address, without a port. */
  address?: string
  /** The User-Agent header, which a client can choose freely. */
  userAgent?: string
  /** The name of a signed-in user. */
  user?: string
}

/** One HTTP request that reads something from a registry, reported by one of the sources. */
export type RegistryRequest = {
  /** A UUID. Two reports of one request by the same source have the same id. */
  id: EventId
  source: RequestSource
  requester: Requester
  /** The registry's own name for the HTTP request. Several reports about parts of one request have the same. */
  requestId?: string
  at: Micros
  /** The name under which the registry is known. */
  registry: string
  repository: RepositoryPath
  object: Requested
  method: 'GET' | 'HEAD'
  /** HTTP status of the answer. */
  status: number
  /** Of a manifest: the requested tag. */
  tag?: Tag
  /** The requested digest. Of a manifest requested by tag: the digest of the answer, if the source reports it. */
  digest?: Digest
  mediaType?: string
  /** Bytes of the answer's body. */
  bytes?: number
}

/**
 * The request that a notification reports; undefined if it reports anything but a pull. A registry reports only answers that it
 * began to give: a pull that ended as a 404 looks like any other (distribution's docs, "Notifications").
 */
export const requestOf = (event: RegistryEvent): RegistryRequest | undefined => {
  const { id, requestId, at, action, registry, repository, object, method, tag, digest, mediaType, size } = event
  if (action !== 'pull' || object === undefined) return undefined
  const { address, userAgent, actor } = event
  const isHead = method === 'HEAD'
  return {
    id,
    source: 'notification',
    requester: {
      ...(address !== undefined && { address }),
      ...(userAgent !== undefined && { userAgent }),
      ...(actor.name !== undefined && { user: actor.name }),
    },
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
