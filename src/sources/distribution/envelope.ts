import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Micros } from '../../events/calendar.js'
import { identityOfContents } from '../../events/event-id.js'
import { isFields } from '../../events/json.js'
import { excerptOf } from './excerpt.js'
import { identityOfUnreadable, subjectOfUnreadable, toRegistryEvent, Unreadable } from './notification.js'
import type { ReportedEvent, UnreadableEvent } from '../../events/reported-item.js'
import { NotADelivery, TooManyValues } from '../sender.js'
import { hasMoreStructuralTokens } from '../../runtime/structural-tokens.js'

/**
 * The largest number of unreadable items of one envelope that are stored individually: even an empty item costs as much as an
 * event.
 */
const MOST_UNREADABLE = 10_000
/**
 * The largest number of items of one envelope that are read: as many as the queue may contain. A large body may have more, by its
 * size.
 */
const MOST_ITEMS = 50_000
/** The smallest size of an event in bytes. Events of registries have at least 600: URLs, a user agent, ids. */
const SHORT_EVENT = 320
/**
 * The size in bytes from which the values of a body are counted before it is parsed. Smaller bodies are harmless, and nearly all
 * bodies are smaller.
 */
const LARGE_BODY = 1024 * 1024
/**
 * The number of structural tokens (`,`, `{`, `[`) that any large body may have. A parsed token takes 20 to 100 bytes of memory.
 * The largest legal manifest, 4 MiB with 40,000 entries, has 160,000 tokens; a manifest of only short annotations has 420,000.
 */
const MOST_TOKENS = 500_000
/** Beyond that number, a body must have so many bytes for each token. Events of registries have at least 30. */
const BYTES_OF_TOKEN = 24
/** An envelope with at least so many items is read in several turns of the event loop. */
const MANY_ITEMS = 1_000
/** The number of items in each of these turns: about 10 ms of processor time. */
const ITEMS_OF_TURN = 250

type Events = (ReportedEvent | UnreadableEvent)[]

/**
 * Reads a notification envelope in the format of CNCF distribution and GitLab's registry (distribution's docs, "Notifications").
 * Each item becomes an event, or an unreadable event with its reason; a broken item never affects other items. If there are more
 * items than a registry would send, the excess items become one unreadable event: unreadable ones beyond 10,000, and all beyond
 * 50,000 or a larger number that depends on the size of the body.
 * @throws NotADelivery if the body is not JSON or has no list of events; TooManyValues if a large body has too many values for
 * its size
 */
export const readEnvelope = (body: Buffer, now: Micros): Events => {
  const reading = readInParts(body, now)
  for (;;) {
    const { done, value } = reading.next()
    if (done === true) return value
  }
}

/**
 * As readEnvelope, with a turn of the event loop after each 250 items, so that other requests are served meanwhile.
 * @returns the events at once if there are fewer than 1,000
 * @throws the errors of readEnvelope, at once
 */
export const readEnvelopeInTurns = (body: Buffer, now: Micros): Events | Promise<Events> => {
  const reading = readInParts(body, now)
  const { done, value } = reading.next()
  return done === true ? value : finish(reading)
}

const finish = async (reading: Generator<undefined, Events>): Promise<Events> => {
  for (;;) {
    await setImmediate()
    const { done, value } = reading.next()
    if (done === true) return value
  }
}

function* readInParts(body: Buffer, now: Micros): Generator<undefined, Events> {
  const envelope = parseJson(body)
  const items = isFields(envelope) ? envelope.events : undefined
  if (!Array.isArray(items)) throw new NotADelivery('the body is JSON, but has no list named "events"')
  const most = Math.min(items.length, Math.max(MOST_ITEMS, Math.ceil(body.length / SHORT_EVENT)))
  const events: Events = []
  let unreadable = 0
  let firstLeftOut = most
  for (let i = 0; i < most; i++) {
    if (most >= MANY_ITEMS && i > 0 && i % ITEMS_OF_TURN === 0) yield
    const event = readItem(items[i], now)
    if (!(event instanceof Unreadable)) events.push(event)
    else if (++unreadable <= MOST_UNREADABLE) events.push(setAside(items[i], event))
    else firstLeftOut = Math.min(firstLeftOut, i)
  }
  return events.length < items.length ? [...events, beyond(body, items.length, events.length, firstLeftOut)] : events
}

/** One event for all items that are not read: reading a million items would delay all other senders. */
const beyond = (body: Buffer, items: number, read: number, first: number): UnreadableEvent => {
  const leftOut = items - read
  const which = leftOut === items - first ? 'those' : `${leftOut} of those`
  return {
    ...identityOfContents(createHash('sha256').update(body).digest('hex')),
    unreadable: 'too_many_events',
    detail: `the envelope has ${items} events; ${which} after the first ${first} are not read`,
    excerpt: '{}',
  }
}

const parseJson = (body: Buffer): unknown => {
  const most = Math.max(MOST_TOKENS, Math.floor(body.length / BYTES_OF_TOKEN))
  if (body.length >= LARGE_BODY && hasMoreStructuralTokens(body, most)) {
    throw new TooManyValues(
      `a notification of ${body.length} bytes may have ${most} JSON values, and this one has more`,
    )
  }
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw new NotADelivery('the body is not JSON')
  }
}

const readItem = (item: unknown, now: Micros): ReportedEvent | Unreadable => {
  try {
    return toRegistryEvent(item, now)
  } catch (error) {
    // An unexpected error affects only this item. Otherwise the registry would send the whole envelope again for ever.
    return error instanceof Unreadable ? error : new Unreadable('wrong_type', 'the event cannot be read')
  }
}

const setAside = (item: unknown, { reason, message }: Unreadable): UnreadableEvent => {
  const about = subjectOfUnreadable(item)
  return {
    ...identityOfUnreadable(item),
    unreadable: reason,
    detail: message,
    excerpt: excerptOf(item),
    ...(about && { about }),
  }
}
