import {
  contributionsOf,
  createAdditions,
  talliesOf,
  uniqueKinds,
  unresolvedMember,
  type CountedEvent,
  type Counting,
  type Members,
} from '../counters/additions.js'
import type { Repositories } from '../counters/repositories.js'
import type { UniqueKind } from '../counters/rules.js'
import { SKIP_PREFIX, UNREADABLE_FIELD_PREFIX, WITHOUT_USER, type Tally } from '../counters/tallies.js'
import { microsOf, utcDay, type Micros } from '../events/calendar.js'
import type { EventId, RegistryEvent, UnreadableEvent } from '../events/registry-event.js'
import type { SkipReason } from '../events/skip-reason.js'
import { createRemembered, type Remembered } from '../inventory/record/recently-stored.js'
import { sightingsIn } from '../inventory/record/observe.js'
import { arrivalAt, createStateTimes, type Arrived, type StateTimes } from '../inventory/record/state-times.js'
import type { PendingRequest } from '../pulls/requests/pending.js'
import { isConflict, isContentError, type Database } from '../storage/sql/database.js'
import { createInTurn } from '../runtime/in-turn.js'
import { createPause } from '../runtime/yield.js'
import type { Identify, Identity } from '../users/identify.js'
import { createBatches } from './batches.js'
import { useEarlierIds } from './earlier-ids.js'
import { storeBatch } from './store-batch.js'

/** What became of one event: exactly one of these. */
export type Outcome = 'recorded' | 'repeated' | SkipReason

export type Ingest = {
  /**
   * Stores events and answers what became of each, in their order.
   * @param sender takes turns with others
   * @throws when nothing of them may count as stored.
   */
  ingest: (events: readonly (RegistryEvent | UnreadableEvent)[], sender?: string) => Promise<Outcome[]>
  /** Resolves when all that was taken is stored. */
  idle: () => Promise<void>
}

/** An event on its way into the database. */
type Item = {
  id: EventId
  outcome: Exclude<Outcome, 'repeated'>
  tallies: readonly Tally[]
  counted?: CountedEvent & Arrived
  unreadable?: UnreadableEvent
}

type Needs = Counting & {
  repositories: Repositories
  identify: Identify
  /** A keyed hash that tells clients apart; undefined when the event does not say who asked. */
  originOf: (event: RegistryEvent) => string | undefined
  /** What is kept of an event that tells of a request, to be folded into pulls. */
  pendingOf: (event: RegistryEvent) => PendingRequest | undefined
  now: () => Date
  onBatch?: (size: number, seconds: number) => void
  /** Whether we caused the event ourselves: it is remembered, but counts for nothing. */
  isOwnRead?: (event: RegistryEvent) => boolean
}

/**
 * The weight of a batch: as many events with few references, or one large manifest. The embedded database keeps the thread while it
 * writes: 5,000 events take 0.4 s of processor time, and 1,000 take 0.1 s.
 */
const LARGEST_BATCH: Record<Database['engine'], number> = { postgresql: 5_000, pglite: 1_000 }
/**
 * Events from which an arrival is prepared in parts, with turns of the event loop between them, and one such arrival after the other. The
 * embedded database answers without a turn: many arrivals at once would keep the event loop busy until all are prepared.
 */
const MANY_EVENTS = 250
const LONGEST_QUEUE = 50_000
/** References that are as much work as an event. */
const REFERENCES_OF_ONE = 4
const CONFLICT_RETRIES = 3

type Recording = Needs & { remembered: Remembered; stateTimes: StateTimes }

/** The one place that records: everything that comes in passes here, once. */
export const createIngest = (needs: Needs): Ingest => {
  const { rules, identify, now, isOwnRead = () => false } = needs
  const recording = { ...needs, remembered: createRemembered(), stateTimes: createStateTimes(needs.database) }

  const batches = createBatches<Item, Outcome>({
    write: async (items) => {
      const start = performance.now()
      const outcomes = await writeOrSplit(items, new Set())
      needs.onBatch?.(items.length, (performance.now() - start) / 1000)
      return outcomes
    },
    weightOf: ({ counted }) => 1 + Math.floor((counted?.event.references?.length ?? 0) / REFERENCES_OF_ONE),
    largestBatch: LARGEST_BATCH[needs.database.engine],
    longestQueue: LONGEST_QUEUE,
  })

  const toItem = (event: RegistryEvent | UnreadableEvent, arrivedAt: Micros): Item | Promise<Item> => {
    if ('unreadable' in event) return unreadableItem(event)
    if (isOwnRead(event)) return { id: event.id, outcome: 'own_read', tallies: [skipTally('own_read')] }
    const kinds = [...uniqueKinds(rules, event)]
    const identities = together(kinds.map((kind) => identify(event, kind)))
    const item = (known: readonly (Identity | undefined)[]): Item => identifiedItem({ event, arrivedAt }, kinds, known)
    return identities instanceof Promise ? identities.then(item) : item(identities)
  }

  const identifiedItem = (
    { event, arrivedAt }: Arrived,
    kinds: UniqueKind[],
    identities: readonly (Identity | undefined)[],
  ): Item => {
    const members: Members = {}
    let outcome: Item['outcome'] = 'recorded'
    let isAnonymous = kinds.length > 0
    for (const [i, kind] of kinds.entries()) {
      const identity = identities[i]
      if (!identity) continue
      isAnonymous = false
      if ('uncounted' in identity) outcome = identity.uncounted
      else members[kind] = 'member' in identity ? identity.member : unresolvedMember(identity.unresolved)
    }
    const skips = outcome === 'recorded' ? [] : [skipTally(outcome)]
    const unreadable = (event.unreadableFields ?? []).map((field) => tallyToday(UNREADABLE_FIELD_PREFIX + field))
    const tallies = [...talliesOf(rules, event), ...skips, ...unreadable]
    if (isAnonymous) tallies.push(tallyToday(WITHOUT_USER))
    return { id: event.id, outcome, tallies, counted: { event, members, arrivedAt } }
  }

  const unreadableItem = (unreadable: UnreadableEvent): Item => ({
    id: unreadable.id,
    outcome: unreadable.unreadable,
    tallies: [skipTally(unreadable.unreadable)],
    unreadable,
  })

  const tallyToday = (name: string): Tally => ({ name, day: utcDay(microsOf(now())) })
  const skipTally = (reason: SkipReason): Tally => tallyToday(SKIP_PREFIX + reason)

  /**
   * A batch that fails for its content is split until the culprit is alone, and that one is set aside.
   * @param recorded ids that an attempt which failed has stored: the next attempt finds them, but they are no repeats
   */
  const writeOrSplit = async (items: Item[], recorded: Set<EventId>, attempt = 0): Promise<Outcome[]> => {
    try {
      return await write(recording, items, recorded)
    } catch (error) {
      if (isConflict(error) && attempt < CONFLICT_RETRIES) return writeOrSplit(items, recorded, attempt + 1)
      const [item] = items
      if (!isContentError(error) || !item) throw error
      if (items.length === 1) {
        if (item.unreadable) throw error
        return write(recording, [unreadableItem(notStorable(item, error))], recorded)
      }
      const middle = items.length >> 1
      const first = await writeOrSplit(items.slice(0, middle), recorded)
      return [...first, ...(await writeOrSplit(items.slice(middle), recorded))]
    }
  }

  const prepare = async (events: readonly (RegistryEvent | UnreadableEvent)[], arrivedAt: Micros): Promise<Item[]> => {
    await useEarlierIds(needs.database.run, events)
    return together(events.map((event) => toItem(event, arrivedAt)))
  }

  const prepareInParts: typeof prepare = async (events, arrivedAt) => {
    const items: Item[] = []
    const pause = createPause()
    for (let from = 0; from < events.length; from += MANY_EVENTS) {
      items.push(...(await prepare(events.slice(from, from + MANY_EVENTS), arrivedAt)))
      await pause()
    }
    return items
  }

  const inTurn = createInTurn()

  return {
    ingest: async (events, sender) => {
      const arrivedAt = arrivalAt(now())
      const items =
        events.length < MANY_EVENTS ? prepare(events, arrivedAt) : inTurn(async () => prepareInParts(events, arrivedAt))
      return batches.submit(await items, sender)
    },
    idle: async () => batches.idle(),
  }
}

const write = async (
  { database, sketches, rules, lifetimes, repositories, originOf, pendingOf, remembered, stateTimes, now }: Recording,
  items: Item[],
  recorded: Set<EventId>,
): Promise<Outcome[]> => {
  const once = new Map<EventId, Item>()
  for (const item of items) if (!once.has(item.id)) once.set(item.id, item)
  const arrivals = [...once.values()]
  const counted = arrivals.flatMap((item) => item.counted ?? [])

  await repositories.discover(counted)
  const additions = createAdditions(rules, lifetimes)
  for (const { event, members } of counted) {
    const { always, if: conditional } = contributionsOf(rules, { event, members })
    additions.add(always, event.at)
    if (repositories.stateFor(event) === 'known') additions.add(conditional.known, event.at)
  }

  const events = counted.map(({ event }) => event)
  const observed = stateTimes(counted)
  const sightings = sightingsIn(observed instanceof Promise ? await observed : observed, { remembered, originOf, now })
  const repeated = await storeBatch(
    { database, sketches },
    {
      arrivals,
      recorded,
      additions,
      sightings,
      requests: events.flatMap((event) => pendingOf(event) ?? []),
      unreadable: arrivals.flatMap((item) => item.unreadable ?? []),
    },
  )
  remembered.learn(events, sightings)
  // Each id is recorded once, also if a batch that was split has it in both halves.
  const isFirst = (item: Item): boolean =>
    once.get(item.id) === item && (recorded.delete(item.id) || !repeated.has(item.id))
  return items.map((item) => (isFirst(item) ? item.outcome : 'repeated'))
}

/** All answers: at once where none must be waited for, as each wait lets every other event pass. */
const together = <T>(answers: (T | Promise<T>)[]): T[] | Promise<T[]> =>
  answers.some((answer) => answer instanceof Promise) ? Promise.all(answers as Promise<T>[]) : (answers as T[])

const notStorable = ({ id, counted }: Item, error: unknown): UnreadableEvent => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  const event = counted?.event
  const excerpt = JSON.stringify({ action: event?.action, repository: event?.repository, tag: event?.tag })
  return { id, unreadable: 'not_storable', detail: `the database refused it (SQLSTATE ${code})`, excerpt }
}
