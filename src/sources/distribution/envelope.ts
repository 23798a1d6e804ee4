import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Micros } from '../../events/calendar.js'
import { identityOfContents } from '../../events/event-id.js'
import { isFields } from '../../events/json.js'
import { excerptOf } from './excerpt.js'
import { identityOfUnreadable, toRegistryEvent, Unreadable } from './notification.js'
import type { ReportedEvent, UnreadableEvent } from '../../events/registry-event.js'
import { NotADelivery, TooManyValues } from '../sender.js'
import { hasMoreStructuralTokens } from '../../runtime/structural-tokens.js'

/** Unreadable items of one envelope that are set aside each for itself: an item without contents costs as much as an event. */
const MOST_UNREADABLE = 10_000
/** Items of one envelope that are read, unless a larger body has room for more events: as many as may wait to be stored. */
const MOST_ITEMS = 50_000
/** Bytes of a short event. Registries send 600 and more: URLs, a user agent, ids. */
const SHORT_EVENT = 320
/** Bytes from which the values of a body are counted before it is parsed. Smaller ones are harmless, and nearly all there are. */
const LARGE_BODY = 1024 * 1024
/**
 * Values that any large body may have, in structural tokens (`,`, `{`, `[`). A parsed token takes 20 to 100 bytes of memory. The
 * largest legal manifest, 4 MiB with 40,000 entries, has 160,000; with nothing but short annotations 420,000.
 */
const MOST_TOKENS = 500_000
/** Bytes for each token beyond them. Events of registries have 30 and more. */
const BYTES_OF_TOKEN = 24
/** Items from which an envelope is read in several turns of the event loop. */
const MANY_ITEMS = 1_000
/** Items that are then read in one turn: some 10 ms of processor time. */
const ITEMS_OF_TURN = 250

type Events = (ReportedEvent | UnreadableEvent)[]

/**
 * Reads a notification envelope as CNCF distribution and GitLab's registry send it (distribution's docs, "Notifications").
 * Each item is an event or says why it is none; one broken item never harms its neighbours. Of more items than a registry can
 * mean, those that are too many are one unreadable event: broken ones beyond 10,000, and all beyond 50,000, or more in a body
 * that has room for more events.
 * @throws NotADelivery when the body is not JSON or has no list of events; TooManyValues when a large body has more values than
 * contents.
 */
export const readEnvelope = (body: Buffer, now: Micros): Events => {
  const reading = readInParts(body, now)
  for (;;) {
    const { done, value } = reading.next()
    if (done === true) return value
  }
}

/**
 * The same, with a turn of the event loop after each 250 items, so that other requests are served meanwhile.
 * @returns the events at once if there are fewer than 1,000
 * @throws the same, at once
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

/** Stands for all items that are not read, since a million of them would keep everybody else waiting. */
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
    // An unexpected error concerns this item alone, too: otherwise the registry would send its neighbours again for ever.
    return error instanceof Unreadable ? error : new Unreadable('wrong_type', 'the event cannot be read')
  }
}

const setAside = (item: unknown, { reason, message }: Unreadable): UnreadableEvent => ({
  ...identityOfUnreadable(item),
  unreadable: reason,
  detail: message,
  excerpt: excerptOf(item),
})
