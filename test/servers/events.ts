import { parseTimestamp, type Micros } from '../../src/events/calendar.js'
import type { Digest, RepositoryPath, Tag } from '../../src/events/reference.js'
import { readEnvelope } from '../../src/sources/distribution/envelope.js'
import type { Action, EventId, RegistryEvent, Rename } from '../../src/events/registry-event.js'
import type { ReportedEvent, ResolvedItem } from '../../src/events/reported-item.js'
import type { Descriptor, ObjectKind } from '../../src/events/descriptor.js'
import { resolveByHost } from '../../src/registries/registry-identity.js'

export const DIGEST = 'sha256:7216c4a0c7c0e8c3686277aac4b76ae23cc2a76d00fe6bf57661ff7fa5c9dfc4'

type Wanted = {
  id?: number
  action?: Action
  at?: string
  registry?: string
  instance?: string
  repository?: string
  tag?: string
  digest?: string
  method?: string
  name?: string
  type?: string
  token?: string
  object?: ObjectKind
  mediaType?: string
  size?: number
  references?: Descriptor[]
  rename?: Rename
  address?: string
  userAgent?: string
}

/** The events of an envelope, each of the registry that its host names. */
export const readByHost = (body: string, now: Micros): ResolvedItem[] =>
  resolveByHost(readEnvelope(Buffer.from(body), now), (host) => host)

/** An event as it is inside, with what a test cares about. */
export const anEvent = (wanted: Wanted = {}): RegistryEvent => {
  const {
    id = 1,
    action = 'push',
    at = '2026-11-18T10:00:00Z',
    registry = 'registry.example',
    repository = 'team/app',
  } = wanted
  const { instance, tag, digest, method = action === 'pull' ? 'GET' : 'PUT', name, type, token } = wanted
  const { object, mediaType, size, references, rename, address, userAgent } = wanted
  return {
    id: `00000000-0000-4000-8000-${String(id).padStart(12, '0')}` as EventId,
    at: parseTimestamp(at) ?? NaN,
    action,
    registry,
    repository: repository as RepositoryPath,
    ...(instance !== undefined && { instance }),
    ...(tag !== undefined && { tag: tag as Tag }),
    ...(digest !== undefined && { digest: digest as Digest }),
    ...(object && { object }),
    ...(mediaType !== undefined && { mediaType }),
    ...(size !== undefined && { size }),
    ...(references && { references }),
    ...(rename && { rename }),
    ...(address !== undefined && { address }),
    ...(userAgent !== undefined && { userAgent }),
    method,
    ...(userAgent !== undefined && { userAgent }),
    actor: {
      ...(name !== undefined && { name }),
      ...(type !== undefined && { type }),
      ...(token !== undefined && { token }),
    },
  }
}

/** The same as a registry reports it, without anything that says which registry that is. */
export const reportedEvent = (wanted: Wanted): ReportedEvent => {
  const event: Partial<RegistryEvent> & ReportedEvent = anEvent(wanted)
  delete event.registry
  return event
}
