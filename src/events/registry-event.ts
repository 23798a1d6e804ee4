import type { Micros } from './calendar.js'
import type { Digest, RepositoryPath, Tag } from './reference.js'
import type { Descriptor, ObjectKind } from './descriptor.js'
import type { SideField } from './side-fields.js'

export const ACTIONS = ['push', 'pull', 'mount', 'delete', 'rename'] as const
export type Action = (typeof ACTIONS)[number]

/** A UUID in lower case. All deliveries of one event have the same id. */
export type EventId = string & { readonly brand: 'event id' }

/** Who caused the event, according to the registry; anonymous clients have no name. */
export type Actor = {
  name?: string
  /** GitLab's `user_type`: personal_access_token, build, gitlab_or_ldap, deploy_token. Other registries do not send it. */
  type?: string
  /** GitLab's JWT `actor.user`. A credential: verified, never stored, never logged. */
  token?: string
}

/** A rename by GitLab's registry: of one repository, or of all repositories below a namespace. */
export type Rename = { what: 'repository' | 'namespace'; from: RepositoryPath; to: RepositoryPath }

/** The data by which a repeated delivery of an event is recognised. */
export type EventIdentity = {
  id: EventId
  /** The hash of the event's contents. Set only if the id is computed from it, because the registry sent no UUID. */
  contentsHash?: EventId
  /** Computed on demand: computing the ids of a large notification all at once would delay other requests. */
  earlierIds?: () => EarlierIds
}

/** Other ids under which the same event may be recorded. */
export type EarlierIds = {
  /** Ids computed with aliases of the registry. */
  aliases?: readonly EventId[]
  /** Ids without the mark of a computed id, from versions that did not set it. */
  unmarked: readonly EventId[]
  /** The id without the registry, from versions that did not include the registry. */
  unscoped?: EventId
}

/** A push, pull, mount, delete or rename, as the registry reported it. */
export type RegistryEvent = EventIdentity & {
  at: Micros
  action: Action
  /** The name of the registry, as found by `registries/`. */
  registry: string
  /**
   * The host to which the client sent its request, in lower case, or the address of the registry's process; missing if both are
   * unknown.
   */
  host?: string
  /**
   * The registry process that reported the event (`source.instanceID`). It changes with each start of the registry. Each process
   * has its own clock.
   */
  instance?: string
  repository: RepositoryPath
  tag?: Tag
  digest?: Digest
  /** Whether the event is about a manifest or a blob; missing if that is unknown, as for deletes. */
  object?: ObjectKind
  mediaType?: string
  /** Bytes of the manifest or blob. */
  size?: number
  /** The entries of the manifest, if the registry reports them: blobs of an image, manifests of an index. */
  references?: readonly Descriptor[]
  /** Only for a rename: the old and the new path. */
  rename?: Rename
  /** The registry's id of the client's request; all events about one request have the same id. */
  requestId?: string
  /** HTTP method of the client's request in upper case; empty if the registry did not report it. */
  method: string
  /** The client's IP address, without a port. Never stored, never logged. */
  address?: string
  /** The client's User-Agent header, which a client can choose freely. */
  userAgent?: string
  actor: Actor
  /**
   * The fields that the registry sent and that are unreadable, each once. Their values are unknown. Missing if there are no such
   * fields.
   */
  unreadableFields?: readonly SideField[]
}

/** The registry of events that contain neither a host nor a process. */
export const UNKNOWN_REGISTRY = 'unknown'
