import type { Micros } from './calendar.js'
import type { Digest, RepositoryPath, Tag } from './reference.js'
import type { Descriptor, ObjectKind } from './descriptor.js'
import type { SideField } from './side-fields.js'
import type { IgnoredReason, UnreadableReason } from './outcome-reason.js'

export const ACTIONS = ['push', 'pull', 'mount', 'delete', 'rename'] as const
export type Action = (typeof ACTIONS)[number]

/** A UUID in lower case. Two deliveries of one event have the same. */
export type EventId = string & { readonly brand: 'event id' }

/** Who did it, as the registry says; anonymous clients have no name. */
export type Actor = {
  name?: string
  /** GitLab's `user_type`: personal_access_token, build, gitlab_or_ldap, deploy_token. Others send none. */
  type?: string
  /** GitLab's JWT `actor.user`. A credential: verified, never stored, never logged. */
  token?: string
}

/** GitLab's registry renames one repository, or moves all that lie below a namespace. */
export type Rename = { what: 'repository' | 'namespace'; from: RepositoryPath; to: RepositoryPath }

/** How a repeated delivery of an event is recognized. */
export type EventIdentity = {
  id: EventId
  /** The hash of the event's contents, if the id is made of it because the registry sent no UUID. */
  contentsHash?: EventId
  /** Are made when they are asked for: all of a large notification at once would keep others waiting. */
  earlierIds?: () => EarlierIds
}

/** Other ids under which the same event may be recorded. */
export type EarlierIds = {
  /** With aliases of its registry. */
  aliases?: readonly EventId[]
  /** As by versions that did not mark ids which they made. */
  unmarked: readonly EventId[]
  /** As by versions that did not make the registry part of ids. */
  unscoped?: EventId
}

/** A change in a registry, or a read, as the registry reported it. */
export type RegistryEvent = EventIdentity & {
  at: Micros
  action: Action
  /** The name of the registry, as `registries/` resolved it. */
  registry: string
  /** The host that the client asked, in lower case, or the address of the registry's process; missing if there is none. */
  host?: string
  /** The registry process that reported the event (`source.instanceID`): a new one after each start. Each has its own clock. */
  instance?: string
  repository: RepositoryPath
  tag?: Tag
  digest?: Digest
  /** Whether the event is about a manifest or a blob; missing if that is unknown, as for deletes. */
  object?: ObjectKind
  mediaType?: string
  /** Bytes of the manifest or blob. */
  size?: number
  /** What the manifest lists, if the registry reports it: blobs of an image, manifests of an index. */
  references?: readonly Descriptor[]
  /** Of a rename: what got which new path. */
  rename?: Rename
  /** The registry's own name for the client's request; events about one request have the same name. */
  requestId?: string
  /** HTTP method of the client's request in upper case; empty when the registry did not say. */
  method: string
  /** The client's IP address, without a port. Never stored, never logged. */
  address?: string
  /** What the client calls itself; a client can say anything. */
  userAgent?: string
  actor: Actor
  /** The fields that the registry sent and that cannot be read, each once; they are unknown. Missing if there are none. */
  unreadableFields?: readonly SideField[]
}

/** The registry of events that say neither by which host it was reached nor which process it is. */
export const UNKNOWN_REGISTRY = 'unknown'

/** What an event says about the registry that reported it. */
export type Sender = {
  /** The host (and port) that the client wrote, in lower case. A client can write anything; missing if it is no host. */
  host?: string
  /** The registry process: `source.instanceID`, new after each start. */
  instance?: string
}

/** An event as it was reported, before its registry is resolved. */
export type ReportedEvent = Omit<RegistryEvent, 'registry' | keyof Sender> & Sender

/** An item that a sender reports, and that cannot be read as an event. */
export type UnreadableEvent = EventIdentity & {
  unreadable: UnreadableReason
  /** Which field, and what is wrong with it. Holds no value from the event. */
  detail: string
  /** The item's harmless fields as JSON, cut short: no address, no token, no user agent. */
  excerpt: string
}

/** An item that a sender reports, and that concerns no push, pull or delete. */
type IgnoredEvent = EventIdentity & { ignored: IgnoredReason }

/** What a source makes of one item of a delivery. */
export type ReportedItem = ReportedEvent | UnreadableEvent | IgnoredEvent

/** The same, after the registry of its sender was resolved. */
export type ResolvedItem = RegistryEvent | UnreadableEvent | IgnoredEvent
