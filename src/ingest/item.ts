import { talliesOf, uniqueKinds, unresolvedMember, type CountedEvent, type Members } from '../counters/contributions.js'
import type { Rules, UniqueKind } from '../counters/rules.js'
import { reasonTally, UNREADABLE_FIELD_PREFIX, WITHOUT_USER, type Tally } from '../counters/tallies.js'
import { microsOf, utcDay } from '../events/calendar.js'
import type { IgnoredReason, OutcomeReason } from '../events/outcome-reason.js'
import type { EventId, EventIdentity, RegistryEvent } from '../events/registry-event.js'
import type { ResolvedItem, UnreadableEvent } from '../events/reported-item.js'
import { requestOf, type RegistryRequest } from '../events/registry-request.js'
import { isAboutAnyRepository, SET_ASIDE_ANYWHERE } from '../events/set-aside.js'
import type { Arrival, Arrived } from '../inventory/record/state-times.js'
import type { PreparedAt } from '../storage/sql/database.js'
import type { Identify, UserIdentity } from '../users/identify.js'

/** The outcome of an item: exactly one of these. */
export type ItemOutcome = 'recorded' | 'repeated' | OutcomeReason

/** An item that is ready to be stored. */
export type Item = {
  id: EventId
  outcome: Exclude<ItemOutcome, 'repeated'>
  tallies: readonly Tally[]
  /** Missing if the item counts for nothing, or is only a request. */
  counted?: CountedEvent & Arrived
  /** The request that is later folded into pulls. */
  request?: RegistryRequest
  unreadable?: UnreadableEvent
  /** The number of lost connections to the database when the registry of the item was identified. */
  resolvedAt?: PreparedAt
}

export type ItemDeps = {
  rules: Rules
  identify: Identify
  /** Whether Tallyman itself sent the request that was reported: its id is stored, but it counts for nothing. */
  isOwnRead?: (read: OwnReadFields) => boolean
  now: () => Date
}

/** The fields by which a request of Tallyman itself is recognised. */
type OwnReadFields = { registry: string; host?: string | undefined; userAgent?: string | undefined }

const ownReadFieldsOf = (arriving: RegistryEvent | RegistryRequest): OwnReadFields =>
  'requester' in arriving
    ? { registry: arriving.registry, host: arriving.host, userAgent: arriving.requester.userAgent }
    : arriving

export type ToItem = (arriving: ResolvedItem, arrival: Arrival) => Item | Promise<Item>

/** Decides which tallies and users an item counts for. Asynchronous only if the user directory must be queried. */
export const createToItem = ({ rules, identify, isOwnRead = () => false, now }: ItemDeps): ToItem => {
  const tallyToday = (name: string): Tally => ({ name, day: utcDay(microsOf(now())) })
  const ignoredItem = ({ id }: EventIdentity, reason: IgnoredReason): Item => ({
    id,
    outcome: reason,
    tallies: [reasonTally(reason, now())],
  })
  const requestItem = (request: RegistryRequest): Item => ({
    id: request.id,
    outcome: 'recorded',
    tallies: [],
    request,
  })

  const eventItem = ({ event, ...arrival }: Arrived, { members, uncounted, isAnonymous }: Identified): Item => {
    const unreadable = (event.unreadableFields ?? []).map((field) => tallyToday(UNREADABLE_FIELD_PREFIX + field))
    const tallies = [...talliesOf(rules, event), ...unreadable]
    if (uncounted) tallies.push(reasonTally(uncounted, now()))
    if (isAnonymous) tallies.push(tallyToday(WITHOUT_USER))
    const request = requestOf(event)
    const counted = { event, members, ...arrival }
    return { id: event.id, outcome: uncounted ?? 'recorded', tallies, counted, ...(request && { request }) }
  }

  const identifyUser = (event: RegistryEvent): Identified | Promise<Identified> => {
    const kinds = [...uniqueKinds(rules, event)]
    const identities = together(kinds.map((kind) => identify(event, kind)))
    return identities instanceof Promise
      ? identities.then((found) => identified(kinds, found))
      : identified(kinds, identities)
  }

  return (arriving, arrival) => {
    if ('unreadable' in arriving) return unreadableItem(arriving, now())
    if ('ignored' in arriving) return ignoredItem(arriving, arriving.ignored)
    if (isOwnRead(ownReadFieldsOf(arriving))) return ignoredItem(arriving, 'own_read')
    if ('requester' in arriving) return requestItem(arriving)
    const who = identifyUser(arriving)
    const arrived = { event: arriving, ...arrival }
    return who instanceof Promise ? who.then((found) => eventItem(arrived, found)) : eventItem(arrived, who)
  }
}

/** An item that is set aside because it is unreadable. */
export const unreadableItem = (unreadable: UnreadableEvent, now: Date): Item => ({
  id: unreadable.id,
  outcome: unreadable.unreadable,
  tallies: [
    reasonTally(unreadable.unreadable, now),
    ...(isAboutAnyRepository(unreadable) ? [{ name: SET_ASIDE_ANYWHERE, day: utcDay(microsOf(now)) }] : []),
  ],
  unreadable,
})

/** The user and the deploy token of an event. */
type Identified = {
  members: Members
  /** The reason why the user does not count. */
  uncounted?: Exclude<ItemOutcome, 'recorded' | 'repeated'>
  /** Whether the event would count for a user if the registry had reported one. */
  isAnonymous: boolean
}

const identified = (kinds: readonly UniqueKind[], identities: readonly (UserIdentity | undefined)[]): Identified => {
  const found: Identified = { members: {}, isAnonymous: kinds.length > 0 }
  for (const [i, kind] of kinds.entries()) {
    const identity = identities[i]
    if (!identity) continue
    found.isAnonymous = false
    if ('uncounted' in identity) found.uncounted = identity.uncounted
    else found.members[kind] = 'member' in identity ? identity.member : unresolvedMember(identity.unresolved)
  }
  return found
}

/** Collects all answers: at once if no answer is a promise, because each `await` lets all other events go first. */
export const together = <T>(answers: (T | Promise<T>)[]): T[] | Promise<T[]> =>
  answers.some((answer) => answer instanceof Promise) ? Promise.all(answers as Promise<T>[]) : (answers as T[])
