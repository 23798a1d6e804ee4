import type { Micros } from './calendar.js'
import type { Digest, RepositoryPath, Tag } from './reference.js'
import type { EventIdentity, RegistryEvent } from './registry-event.js'

/** The kind of object that a request was for, by the paths of the OCI distribution specification (v1.1, "Endpoints"). */
type Requested = 'manifest' | 'blob' | 'tags' | 'referrers'

/** The sources that report requests. A sender that reports requests of its own, such as lines of an access log, adds its name here. */
export const REQUEST_SOURCES = ['notification', 'access_log'] as const
export type RequestSource = (typeof REQUEST_SOURCES)[number]

/** Who sent a request. `requesters/` decides what is stored of these fields: the address is never stored and never logged. */
export type Requester = {
  /** IP address, without a port. */
  address?: string
  /** The User-Agent header, which a client can choose freely. */
  userAgent?: string
  /** The name of a signed-in user. */
  user?: string
}

/**
 * One HTTP request that reads something from a registry, reported by one of the sources. If a source reports a request twice, both
 * reports have the same id.
 */
export type RegistryRequest = EventIdentity & {
  source: RequestSource
  requester: Requester
  /** The registry's id of the HTTP request. Several reports about parts of one request have the same id. */
  requestId?: string
  at: Micros
  /** The name of the registry. */
  registry: string
  /** The host to which the client sent the request, in lower case; missing if the source does not report it. */
  host?: string
  repository: RepositoryPath
  object: Requested
  method: 'GET' | 'HEAD'
  /** HTTP status of the answer. */
  status: number
  /** The requested tag; only for a manifest that was requested by tag. */
  tag?: Tag
  /** The requested digest. For a manifest that was requested by tag: the digest of the answer, if the source reports it. */
  digest?: Digest
  mediaType?: string
  /** Bytes of the answer's body. */
  bytes?: number
}

/**
 * The request that a notification reports; undefined for an event other than a pull. A registry reports an event when it begins
 * its answer, so a pull that then fails with 404 cannot be distinguished from a successful one (distribution's docs,
 * "Notifications").
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
