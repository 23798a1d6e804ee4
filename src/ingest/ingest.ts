import type { EventId } from '../events/registry-event.js'
import type { ResolvedItem, UnreadableEvent } from '../events/reported-item.js'
import { createNewestTime, type NewestTime } from '../inventory/model/newest-time.js'
import { createRecentlyStored } from '../inventory/record/recently-stored.js'
import { createArrivals, createStateTimes, type Arrival } from '../inventory/record/state-times.js'
import { isContentError, isStateError, type Database, type PreparedAt } from '../storage/sql/database.js'
import { retryConflicts } from '../storage/sql/retry-conflicts.js'
import { createInTurn } from '../runtime/in-turn.js'
import { createPause } from '../runtime/yield.js'
import { createBatches } from './batches.js'
import { useEarlierIds } from './earlier-ids.js'
import { createToItem, together, unreadableItem, type Item, type ItemDeps, type ItemOutcome } from './item.js'
import { recordBatch, type BatchDeps } from './record-batch.js'
import { NO_EXCERPT } from './rejected-events.js'
import type { Submitter } from './turns-of-submitters.js'

export type Ingest = {
  /**
   * Stores items, and returns their outcomes in the same order. Items with the same id count once.
   * @param submitter the queue of the items; queues take turns
   * @param resolvedAt the number of lost connections to the database before the registries of the items were identified
   * @throws if none of the items may count as stored; ConnectionLost if a connection was lost since then
   */
  ingest: (items: readonly ResolvedItem[], submitter?: Submitter, resolvedAt?: PreparedAt) => Promise<ItemOutcome[]>
  /** Resolves when all accepted items are stored. */
  idle: () => Promise<void>
}

export type IngestDeps = ItemDeps &
  Omit<BatchDeps, 'remembered' | 'stateTimes'> & {
    /** What services recorded. By default it is read before the first arrival. */
    recorded?: NewestTime
    onBatch?: (size: number, seconds: number) => void
    /** Milliseconds of a monotonic clock. */
    elapsed?: () => number
  }

/**
 * The largest weight of a batch: as many events with few references, or one large manifest. The embedded database blocks the
 * thread while it writes: 5,000 events take 0.4 s of processor time, and 1,000 take 0.1 s.
 */
const LARGEST_BATCH: Record<Database['engine'], number> = { postgresql: 5_000, pglite: 1_000 }
/**
 * An arrival with at least this many events is prepared in parts, with turns of the event loop between them. Only one such
 * arrival is prepared at a time. The embedded database answers without a turn of the event loop, so several such arrivals would
 * block it until all of them are prepared.
 */
const MANY_EVENTS = 250
const LONGEST_QUEUE = 50_000
/** The number of references that are as much work as one event. */
const REFERENCES_OF_ONE = 4

/** The only function that records events and requests: each item passes through it once. */
export const createIngest = (deps: IngestDeps): Ingest => {
  const { database, now, onBatch, elapsed } = deps
  const remembered = createRecentlyStored()
  database.losses.onLoss(remembered.forget)
  const batchDeps = { ...deps, remembered, stateTimes: createStateTimes(database, elapsed) }
  const arrive = createArrivals(deps.recorded ?? createNewestTime(database, undefined, elapsed))
  const toItem = createToItem(deps)

  const batches = createBatches<Item, ItemOutcome>({
    write: async (items) => {
      const start = performance.now()
      const outcomes = await recordOrSplit(items, new Set())
      onBatch?.(items.length, (performance.now() - start) / 1000)
      return outcomes
    },
    weightOf: ({ counted }) => 1 + Math.floor((counted?.event.references?.length ?? 0) / REFERENCES_OF_ONE),
    largestBatch: LARGEST_BATCH[database.engine],
    longestQueue: LONGEST_QUEUE,
  })

  /**
   * If the content of an item makes a batch fail, the batch is split until the item is alone. Then that item is set aside. If it
   * was set aside already, its excerpt is left out, and then its repository: otherwise the registry would send the whole notification
   * again for ever. If the state of the database prevents an item, only its arrival fails.
   */
  const recordOrSplit = async (items: Item[], recorded: Set<EventId>): Promise<(ItemOutcome | Error)[]> => {
    try {
      return await retryConflicts(async () => recordBatch(batchDeps, items, recorded))
    } catch (error) {
      const [item] = items
      const isState = isStateError(error)
      if (!item || !(isState || isContentError(error))) throw error
      if (items.length === 1) {
        if (isState) return [error]
        if (item.unreadable?.excerpt === NO_EXCERPT && !item.unreadable.about) throw error
        return recordOrSplit([unreadableItem(setAside(item, error), now())], recorded)
      }
      const middle = items.length >> 1
      const first = await recordOrSplit(items.slice(0, middle), recorded)
      return [...first, ...(await recordOrSplit(items.slice(middle), recorded))]
    }
  }

  const prepare = async (arriving: readonly ResolvedItem[], arrival: Arrival): Promise<Item[]> => {
    await useEarlierIds(database.run, arriving)
    return together(arriving.map((one) => toItem(one, arrival)))
  }

  const prepareInParts: typeof prepare = async (arriving, arrival) => {
    const items: Item[] = []
    const pause = createPause()
    for (let from = 0; from < arriving.length; from += MANY_EVENTS) {
      items.push(...(await prepare(arriving.slice(from, from + MANY_EVENTS), arrival)))
      await pause()
    }
    return items
  }

  const inTurn = createInTurn()

  return {
    ingest: async (arriving, submitter, resolvedAt = database.losses.count()) => {
      const noted = arrive(now())
      const arrival = noted instanceof Promise ? await noted : noted
      const preparing =
        arriving.length < MANY_EVENTS
          ? prepare(arriving, arrival)
          : inTurn(async () => prepareInParts(arriving, arrival))
      const items = await preparing
      for (const item of items) item.resolvedAt = resolvedAt
      return batches.submit(items, submitter)
    },
    idle: async () => batches.idle(),
  }
}

/** An item that the database refused, as one that is set aside; or a set-aside item without a text that came with it. */
const setAside = (item: Item, error: unknown): UnreadableEvent => {
  if (!item.unreadable) return notStorable(item, error)
  const { about, ...unreadable } = item.unreadable
  return { ...unreadable, ...(about && unreadable.excerpt !== NO_EXCERPT && { about }), excerpt: NO_EXCERPT }
}

const notStorable = ({ id, counted, request }: Item, error: unknown): UnreadableEvent => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  const refused = counted?.event ?? request
  const { repository, tag } = refused ?? {}
  const action = counted?.event.action
  const about = refused && {
    repository: refused.repository,
    registry: refused.registry,
    isPull: (action ?? 'pull') === 'pull',
  }
  return {
    ...{ id, unreadable: 'not_storable', detail: `the database refused it (SQLSTATE ${code})` },
    excerpt: JSON.stringify({ action, repository, tag }),
    ...(about && { about }),
  }
}
