import type { Additions } from '../counters/additions.js'
import { fillTallies, KNOWN_BEFORE, TALLIES, type Arrival } from '../counters/tallies.js'
import { keepUnresolved } from '../counters/unresolved-users.js'
import type { EventId } from '../events/registry-event.js'
import type { UnreadableEvent } from '../events/reported-item.js'
import { closeSmallDeleted } from '../inventory/record/close-deleted.js'
import { propagateKnownBlobs } from '../inventory/record/propagate-blobs.js'
import { countUndecided } from '../inventory/record/count-undecided.js'
import { isLarge } from '../inventory/record/manifest-entries.js'
import type { ShownManifest, Observations } from '../inventory/record/observations.js'
import { storeRenames } from '../inventory/record/store-renames.js'
import { storeSetAside } from '../inventory/record/store-set-aside.js'
import { fillInventory, INVENTORY_PARTS } from '../inventory/record/observation-statement.js'
import { fillPending, PENDING, type PendingRequest } from '../pulls/requests/pending.js'
import type { Database, PreparedAt, Run } from '../storage/sql/database.js'
import type { SketchStore } from '../storage/sketches/sketch-store.js'
import { joinerOf, type FinalSelect } from '../storage/sql/statement-parts.js'
import { keepRejected } from './rejected-events.js'

type Batch = {
  /** No id twice. */
  arrivals: readonly Arrival[]
  /**
   * Receives the ids that the first transaction of this batch has committed: if the second transaction fails, the batch is
   * retried.
   */
  recorded: Set<EventId>
  additions: Additions
  observations: Observations
  requests: readonly PendingRequest[]
  unreadable: readonly UnreadableEvent[]
  preparedAt: PreparedAt
}

/**
 * Stores a batch. Adding a member to a sketch twice changes nothing. So members are added before it is known which events are
 * new, even if the database fails afterwards.
 * @returns the ids that were already recorded
 */
export const storeBatch = async (
  { database, sketches }: { database: Database; sketches: SketchStore },
  { additions, unreadable, recorded, preparedAt, ...batch }: Batch,
): Promise<ReadonlySet<EventId>> => {
  const { observations } = batch
  const unresolved = additions.unresolved()
  const ended = observations.repositories.filter(({ deleted }) => deleted !== undefined)
  const more = [unresolved, unreadable, observations.renames, ended]
  const oneStatement = more.every(({ length }) => length === 0)
  const added = oneStatement ? sketches.addAlone(additions.list()) : undefined
  if (added) {
    // In most cases one statement is enough. It is its own transaction, and takes a third of the work of three statements.
    await added
    const { repeated, unpropagated } = await record(
      async (statement, values) => database.run(statement, values, preparedAt),
      batch,
    )
    // If a later transaction fails, the registry sends the events again, and the inventory processes them as new ones.
    const isPropagated = unpropagated.described.length + unpropagated.shown.length === 0
    if (!isPropagated || observations.undecided.length > 0) {
      for (const { id } of batch.arrivals) if (!repeated.has(id)) recorded.add(id)
    }
    // A transaction of its own: transactions that propagate blobs lock manifests before blobs.
    await countUndecided(database, observations.undecided)
    if (!isPropagated) await database.transaction(async (tx) => propagateKnownBlobs(tx, unpropagated), preparedAt)
    return repeated
  }
  return database.transaction(async (tx) => {
    const { repeated, unpropagated } = await record(tx.run, batch)
    await countUndecided(tx, observations.undecided)
    await propagateKnownBlobs(tx, unpropagated)
    const isNew = ({ id }: UnreadableEvent): boolean => !repeated.has(id) || recorded.has(id)
    await Promise.all([
      sketches.add(additions.list(), tx),
      closeSmallDeleted(tx, ended),
      storeRenames(tx, observations.renames),
      keepUnresolved(tx, unresolved),
      keepRejected(tx, unreadable),
      storeSetAside(tx, unreadable.filter(isNew), observations.received),
    ])
    return repeated
  }, preparedAt)
}

/** Returns, besides the known ids, the digests of new manifests and the numbers of repositories that were ever deleted. */
const WITH_MANIFESTS: FinalSelect = {
  requires: [...KNOWN_BEFORE.requires, 'seen_manifests', 'batch_repositories'],
  text: (p) => `
    select known.id, null as digest, null::int as number from (${KNOWN_BEFORE.text(p)}) known
    union all select null, digest, null from seen_manifests where is_new
    union all select null, null, number::int from batch_repositories where deleted_at is not null`,
}

/** All parts of the statement of a batch, in their order. A batch uses those that it has rows for. */
export const BATCH_PARTS = [TALLIES, ...INVENTORY_PARTS, PENDING]
const joinWithoutManifests = joinerOf(BATCH_PARTS, KNOWN_BEFORE)
const joinWithManifests = joinerOf(BATCH_PARTS, WITH_MANIFESTS)

type Recorded = {
  /** The ids that were already recorded. */
  repeated: ReadonlySet<EventId>
  unpropagated: Pick<Observations, 'described' | 'shown'>
}

/** Stores event ids, tallies, inventory observations and requests, in one statement. */
const record = async (
  run: Run,
  { arrivals, observations, requests }: Pick<Batch, 'arrivals' | 'observations' | 'requests'>,
): Promise<Recorded> => {
  const join = observations.manifests.length > 0 ? joinWithManifests : joinWithoutManifests
  const pending = requests.length > 0 ? [fillPending(requests)] : []
  const { statement, values } = join([fillTallies(arrivals), ...fillInventory(observations), ...pending])
  const rows = await run<{ id: EventId | null; digest?: string | null; number?: number | null }>(statement, values)
  const isNew = new Set(rows.flatMap(({ digest }) => digest ?? []))
  const wasDeleted = new Set(rows.flatMap(({ number }) => number ?? []))
  // A new manifest is only in the repositories of this batch. If another process stores its contents meanwhile, that process also
  // propagates its blobs.
  const isDone = ({ number, digest, isCovered }: ShownManifest): boolean =>
    isCovered && isNew.has(digest) && !wasDeleted.has(number)
  return {
    repeated: new Set(rows.flatMap(({ id }) => id ?? [])),
    unpropagated: {
      described: observations.described.filter((manifest) => !isNew.has(manifest.digest) || isLarge(manifest)),
      shown: observations.shown.filter((shown) => !isDone(shown)),
    },
  }
}
