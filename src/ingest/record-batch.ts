import { createAdditions, type Additions, type CountingDeps } from '../counters/additions.js'
import { contributionsOf, type CountedEvent } from '../counters/contributions.js'
import type { Repositories } from '../counters/repositories.js'
import type { EventId, RegistryEvent } from '../events/registry-event.js'
import type { RegistryRequest } from '../events/registry-request.js'
import type { Observations } from '../inventory/record/observations.js'
import { gatherObservations } from '../inventory/record/gather-observations.js'
import type { RecentlyStored } from '../inventory/record/recently-stored.js'
import type { Arrived, StateTimes } from '../inventory/record/state-times.js'
import type { PendingRequest } from '../pulls/requests/pending.js'
import type { PreparedAt } from '../storage/sql/database.js'
import type { Item, ItemOutcome } from './item.js'
import { storeBatch } from './store-batch.js'

export type BatchDeps = CountingDeps & {
  repositories: Repositories
  /** A keyed hash that distinguishes clients; undefined if the event does not identify its client. */
  lookupOriginOf: (event: RegistryEvent) => string | undefined
  /** Converts a request to the form that is stored until the request is folded into pulls. */
  pendingOf: (request: RegistryRequest) => PendingRequest
  remembered: RecentlyStored
  stateTimes: StateTimes
  now: () => Date
}

/**
 * Records a batch, step by step (docs/architecture.md, "The path of one notification").
 * @param recorded ids that a failed attempt has stored: the next attempt finds them in the database, but they are no repeats
 * @returns the outcomes of the items, in their order
 */
export const recordBatch = async (deps: BatchDeps, items: Item[], recorded: Set<EventId>): Promise<ItemOutcome[]> => {
  const { database, sketches, repositories, remembered } = deps
  const preparedAt = preparedAtOf(items, database.losses.count())
  const firsts = firstOfEachId(items)
  const arrivals = [...firsts.values()]
  const counted = arrivals.flatMap((item) => item.counted ?? [])

  await repositories.discover(counted, preparedAt)
  const additions = countMembers(deps, counted)
  const observations = await observeInventory(deps, counted)
  const requests = arrivals.flatMap(({ request }) => (request ? [deps.pendingOf(request)] : []))
  const unreadable = arrivals.flatMap((item) => item.unreadable ?? [])
  const repeated = await storeBatch(
    { database, sketches },
    { arrivals, recorded, additions, observations, requests, unreadable, preparedAt },
  )
  if (database.losses.count() === preparedAt) {
    remembered.learn(
      counted.map(({ event }) => event),
      observations,
    )
  }
  // Each id counts as recorded once, even if a batch is split and both halves contain the id.
  const isFirst = (item: Item): boolean =>
    firsts.get(item.id) === item && (recorded.delete(item.id) || !repeated.has(item.id))
  return items.map((item) => (isFirst(item) ? item.outcome : 'repeated'))
}

/** The number of lost connections when the first decision about the batch was made. */
const preparedAtOf = (items: readonly Item[], current: PreparedAt): PreparedAt => {
  let first = current
  for (const { resolvedAt = current } of items) first = Math.min(first, resolvedAt)
  return first
}

const firstOfEachId = (items: readonly Item[]): Map<EventId, Item> => {
  const firsts = new Map<EventId, Item>()
  for (const item of items) if (!firsts.has(item.id)) firsts.set(item.id, item)
  return firsts
}

/**
 * The members to add to each sketch. Must be called after `discover`, so that `repositories` knows which events are the first of
 * their repository.
 */
const countMembers = ({ rules, lifetimes, repositories }: BatchDeps, counted: readonly CountedEvent[]): Additions => {
  const additions = createAdditions(rules, lifetimes)
  for (const { event, members } of counted) {
    const { always, if: conditional } = contributionsOf(rules, { event, members })
    additions.add(always, event.at)
    if (repositories.stateFor(event) === 'known') additions.add(conditional.known, event.at)
  }
  return additions
}

const observeInventory = async (
  { stateTimes, remembered, lookupOriginOf, now }: BatchDeps,
  counted: readonly Arrived[],
): Promise<Observations> => {
  const observed = stateTimes(counted)
  return gatherObservations(observed instanceof Promise ? await observed : observed, {
    remembered,
    lookupOriginOf,
    now,
  })
}
