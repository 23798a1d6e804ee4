import type { IgnoredReason, UnreadableReason } from './outcome-reason.js'
import type { RepositoryPath } from './reference.js'
import type { EventIdentity, RegistryEvent } from './registry-event.js'
import type { RegistryRequest } from './registry-request.js'

/** The fields of an event that identify the registry which reported it. */
export type ReportedBy = {
  /** The host (and port) in the client's request, in lower case. A client can send any text; missing if the text is no host. */
  host?: string
  /** The registry process: `source.instanceID`, which changes with each start of the registry. */
  instance?: string
}

/** An event as it was reported, before its registry is resolved. */
export type ReportedEvent = Omit<RegistryEvent, 'registry' | keyof ReportedBy> & ReportedBy

/** A request as it was reported, before its registry is resolved: a line of an access log, for example. It counts in pulls alone. */
export type ReportedRequest = Omit<RegistryRequest, 'registry'> & ReportedBy

/** An item of a sender that cannot be read as an event. */
export type UnreadableEvent = EventIdentity & {
  unreadable: UnreadableReason
  /** The repository that the item may have used or changed, if it is readable. */
  about?: ReportedBy & {
    repository: RepositoryPath
    /** Missing before the registry is resolved. */
    registry?: string
    /** Whether the item is certainly a pull or a check: it changed nothing. */
    isPull: boolean
  }
  /** The field and its error. Contains no value from the event. Stored in ASCII. */
  detail: string
  /** The harmless fields of the item as JSON, with a limited length: no address, no token, no user agent. Stored in ASCII. */
  excerpt: string
}

/** An item of a sender that is about no push, pull, mount, delete or rename. */
type IgnoredEvent = EventIdentity & { ignored: IgnoredReason }

/** The result of reading one item of a delivery. */
export type ReportedItem = ReportedEvent | ReportedRequest | UnreadableEvent | IgnoredEvent

/** A reported item after the registry that reported it was identified. */
export type ResolvedItem = RegistryEvent | RegistryRequest | UnreadableEvent | IgnoredEvent

/** Whether an item is about a registry. The others are recorded without one. */
export const isOfRegistry = (item: ReportedItem): item is ReportedEvent | ReportedRequest =>
  'action' in item || 'requester' in item
