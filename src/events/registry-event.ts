import type { Micros } from './calendar.js'
import type { Digest, RepositoryPath, Tag } from './reference.js'
import type { UnreadableReason } from './skip-reason.js'

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

/** Something changed in a registry, or was read, as the registry told it. */
export type RegistryEvent = {
  id: EventId
  at: Micros
  action: Action
  /** The name under which the client reached the registry (host and port). */
  registry: string
  repository: RepositoryPath
  tag?: Tag
  digest?: Digest
  /** HTTP method of the client's request in upper case; empty when the registry did not say. */
  method: string
  actor: Actor
}

/** An item of an envelope that is not an event we can read. */
export type UnreadableEvent = {
  id: EventId
  unreadable: UnreadableReason
  /** Which field, and what is wrong with it. Holds no value from the event. */
  detail: string
  /** The item's harmless fields as JSON, cut short: no address, no token, no user agent. */
  excerpt: string
}
