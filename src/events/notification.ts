import { createHash } from 'node:crypto'
import { isUtf8 } from 'node:buffer'
import { MICROS_PER_DAY, parseTimestamp, type Micros } from './calendar.js'
import { excerptOf, isFields, jsonOf, type Fields } from './excerpt.js'
import {
  isDigest,
  isRepositoryPath,
  isTag,
  LONGEST_DIGEST,
  LONGEST_REPOSITORY,
  LONGEST_TAG,
  type Digest,
  type RepositoryPath,
  type Tag,
} from './reference.js'
import {
  ACTIONS,
  type Action,
  type Actor,
  type EventId,
  type RegistryEvent,
  type UnreadableEvent,
} from './registry-event.js'
import type { UnreadableReason } from './skip-reason.js'
import { clientOf, objectOf } from './notified-object.js'

/** The body is not a notification envelope: the one case in which content is answered 400. */
export class NotAnEnvelope extends Error {}

/** Items read of one envelope, whatever they are; a larger body may hold as many as it has room for real ones. */
const MOST_ITEMS = 10_000
/** Bytes of the shortest JSON that can be an event: a time, an action, a repository. */
const SHORTEST_EVENT = 80
const LONGEST_TEXT = 1_024
const LONGEST_TOKEN = 16_384
/** Registries and we do not share a clock; an hour of doubt is plenty, a day is kind. */
const FUTURE_TOLERANCE = MICROS_PER_DAY

/**
 * Reads a notification envelope as CNCF distribution and GitLab's registry send it (distribution's docs, "Notifications").
 * Each item is an event or says why it is none; one broken item never harms its neighbours. Of more items than a body can
 * hold events, those that are too many are one unreadable event.
 * @throws NotAnEnvelope when the body is not JSON or has no list of events.
 */
export const readEnvelope = (body: Buffer, now: Micros): (RegistryEvent | UnreadableEvent)[] => {
  const intact = isUtf8(body)
  const envelope = parseJson(body)
  const items = isFields(envelope) ? envelope.events : undefined
  if (!Array.isArray(items)) throw new NotAnEnvelope('the body is JSON, but has no list named "events"')
  const most = Math.max(MOST_ITEMS, Math.ceil(body.length / SHORTEST_EVENT))
  const events = items.slice(0, most).map((item: unknown) => readItem(item, now, intact))
  return items.length > most ? [...events, beyond(body, items.length, most)] : events
}

/** Stands for all items that are not read, since a million of them would keep everybody else waiting. */
const beyond = (body: Buffer, items: number, most: number): UnreadableEvent => ({
  id: digestToId(body.toString('latin1')),
  unreadable: 'too_many_events',
  detail: `the envelope has ${items} events; those after the first ${most} are not read`,
  excerpt: '{}',
})

const parseJson = (body: Buffer): unknown => {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw new NotAnEnvelope('the body is not JSON')
  }
}

const readItem = (item: unknown, now: Micros, intact: boolean): RegistryEvent | UnreadableEvent => {
  try {
    if (!intact && jsonOf(item).includes('\ufffd')) throw new Unreadable('broken_utf8', 'the event is not UTF-8')
    return toRegistryEvent(item, now)
  } catch (error) {
    // What nobody foresaw is the culprit's alone, too: the registry would send its neighbours again for ever.
    const { reason, message } =
      error instanceof Unreadable ? error : new Unreadable('wrong_type', 'the event cannot be read')
    return { id: idOfUnreadable(item), unreadable: reason, detail: message, excerpt: excerptOf(item) }
  }
}

/** Thrown inside one item, caught at its border. Nobody reads its stack, which would cost more than the item. */
class Unreadable extends Error {
  readonly reason: UnreadableReason

  constructor(reason: UnreadableReason, detail: string) {
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(detail)
    Error.stackTraceLimit = stackTraceLimit
    this.reason = reason
  }
}

const toRegistryEvent = (item: unknown, now: Micros): RegistryEvent => {
  if (!isFields(item)) throw new Unreadable('not_an_object', 'an event is an object')
  const { target } = item
  if (target === undefined || target === null) throw new Unreadable('no_target', 'target is missing')
  if (!isFields(target)) throw new Unreadable('wrong_type', 'target is not an object')
  const request = optionalFields(item.request, 'request')
  const source = optionalFields(item.source, 'source')

  const at = timestampOf(item.timestamp, now)
  const action = actionOf(item.action)
  const repository = repositoryOf(target.repository)
  const tag = tagOf(target.tag)
  const digest = digestOf(target.digest)
  const event: RegistryEvent = {
    id: idOf(item, target, request),
    at,
    action,
    registry: hostOf(text(request.host, 'request.host') ?? text(source.addr, 'source.addr')),
    repository,
    method: text(request.method, 'request.method')?.toUpperCase() ?? '',
    actor: actorOf(item.actor),
  }
  if (tag !== undefined) event.tag = tag
  if (digest !== undefined) event.digest = digest
  return Object.assign(event, objectOf(target, action, tag), clientOf(request))
}

const timestampOf = (value: unknown, now: Micros): Micros => {
  const timestamp = text(value, 'timestamp')
  const at = timestamp === undefined ? undefined : parseTimestamp(timestamp)
  if (at === undefined || at < 0) throw new Unreadable('bad_timestamp', 'timestamp is not an RFC 3339 time since 1970')
  if (at > now + FUTURE_TOLERANCE) throw new Unreadable('timestamp_in_future', 'timestamp is more than a day ahead')
  return at
}

const actionOf = (value: unknown): Action => {
  const action = text(value, 'action') ?? ''
  if (!(ACTIONS as readonly string[]).includes(action)) {
    throw new Unreadable('unknown_action', `action is none of ${ACTIONS.join(', ')}`)
  }
  return action as Action
}

const repositoryOf = (value: unknown): RepositoryPath => {
  const repository = text(value, 'target.repository', LONGEST_REPOSITORY) ?? ''
  if (!isRepositoryPath(repository))
    throw new Unreadable('bad_repository', 'target.repository is not a repository name')
  return repository
}

const tagOf = (value: unknown): Tag | undefined => {
  const tag = text(value, 'target.tag', LONGEST_TAG)
  if (tag === undefined) return undefined
  if (!isTag(tag)) throw new Unreadable('bad_tag', 'target.tag is not a tag')
  return tag
}

const digestOf = (value: unknown): Digest | undefined => {
  const digest = text(value, 'target.digest', LONGEST_DIGEST)
  if (digest === undefined) return undefined
  if (!isDigest(digest)) throw new Unreadable('bad_digest', 'target.digest is not a digest')
  return digest
}

/** Clients choose the Host header, so what cannot be a host is not kept. */
const hostOf = (host: string | undefined): string =>
  host !== undefined && HOST.test(host) ? host.toLowerCase() : 'unknown'

const HOST = /^[a-z0-9._[\]:-]{1,255}$/i

const actorOf = (value: unknown): Actor => {
  const fields = optionalFields(value, 'actor')
  const name = text(fields.name, 'actor.name')
  const type = text(fields.user_type, 'actor.user_type')
  const token = text(fields.user, 'actor.user', LONGEST_TOKEN)
  return { ...(name && { name }), ...(type && { type }), ...(token && { token }) }
}

/** A field that is text. Missing, null and "" are the same: distribution 3 sends "" for what distribution 2 leaves out. */
const text = (value: unknown, field: string, longest = LONGEST_TEXT): string | undefined => {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') throw new Unreadable('wrong_type', `${field} is not text`)
  if (value.includes('\0')) throw new Unreadable('nul_character', `${field} holds a NUL`)
  if (value.includes('\ufffd') || !value.isWellFormed()) throw new Unreadable('broken_utf8', `${field} is not UTF-8`)
  if (value.length > longest) throw new Unreadable('too_long', `${field} has more than ${longest} characters`)
  return value
}

const optionalFields = (value: unknown, field: string): Fields => {
  if (value === undefined || value === null) return {}
  if (!isFields(value)) throw new Unreadable('wrong_type', `${field} is not an object`)
  return value
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * What tells two deliveries of one event from two events. Registries send a UUID, which is the id whatever else the body says.
 * Any other id was written by hand and may stand on different events, so what happened, when and to what is part of it.
 */
const idOf = (item: Fields, target: Fields, request: Fields): EventId => {
  const id = text(item.id, 'id')
  if (id && UUID.test(id.toLowerCase())) return id.toLowerCase() as EventId
  const requestId = text(request.id, 'request.id')
  return digestToId([id, item.action, item.timestamp, requestId, target.repository, target.tag, target.digest])
}

const idOfUnreadable = (item: unknown): EventId => {
  const id = isFields(item) ? item.id : undefined
  if (typeof id === 'string' && UUID.test(id.toLowerCase())) return id.toLowerCase() as EventId
  return digestToId(jsonOf(item))
}

/** An id for what has none of its own: the same for the same value. */
export const digestToId = (value: unknown): EventId =>
  createHash('sha256')
    .update(JSON.stringify(value))
    .digest('hex')
    .slice(0, 32)
    .replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5') as EventId
