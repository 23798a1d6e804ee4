import type { Additions } from '../counters/additions.js'
import { KNOWN_BEFORE, talliesPart, type Arrival } from '../counters/tallies.js'
import { keepUnresolved } from '../counters/unresolved-users.js'
import type { EventId, UnreadableEvent } from '../events/registry-event.js'
import { endSmallDeleted } from '../inventory/record/end-deleted.js'
import { expandManifests, expandShown } from '../inventory/record/expand.js'
import type { Sightings } from '../inventory/record/sightings.js'
import { keepRenames } from '../inventory/record/renames.js'
import { inventoryParts } from '../inventory/record/statement.js'
import { toldByCommit, type Database, type Run } from '../storage/database.js'
import type { SketchStore } from '../storage/sketch-store.js'
import { joinParts } from '../storage/statement-parts.js'
import { keepRejected } from './rejected-events.js'

type Batch = {
  /** No id twice. */
  arrivals: readonly Arrival[]
  additions: Additions
  sightings: Sightings
  unreadable: readonly UnreadableEvent[]
}

/**
 * Stores a batch. Adding to a sketch twice changes nothing, so sketches need not wait to hear which events are new, and may be
 * ahead of a database that then fails.
 * @returns the ids that were known before.
 */
export const storeBatch = async (
  { database, sketches }: { database: Database; sketches: SketchStore },
  { arrivals, additions, sightings, unreadable }: Batch,
): Promise<ReadonlySet<EventId>> => {
  const unresolved = additions.unresolved()
  const ended = sightings.repositories.filter(({ deleted }) => deleted !== undefined)
  const more = [unresolved, unreadable, sightings.described, sightings.shown, sightings.renames, ended]
  const oneStatement = more.every(({ length }) => length === 0)
  const added = oneStatement ? sketches.addAlone(additions.list()) : undefined
  if (added) {
    // Most often: one statement, which is its own transaction, takes a third of the work of three.
    await added
    return record(database, arrivals, sightings)
  }
  const { repeated } = await database.transaction(async (tx) => {
    const repeated = toldByCommit(record(tx, arrivals, sightings))
    void toldByCommit(expandManifests(tx, sightings.described))
    void toldByCommit(expandShown(tx, shownElsewhere(sightings)))
    await Promise.all([
      sketches.add(additions.list(), tx),
      endSmallDeleted(tx, ended),
      keepRenames(tx, sightings.renames),
      keepUnresolved(tx, unresolved),
      keepRejected(tx, unreadable),
    ])
    return { repeated }
  })
  return repeated
}

/** What is told of now goes to all repositories anyway. */
const shownElsewhere = ({ described, shown }: Sightings): Sightings['shown'] => {
  const told = new Set(described)
  return shown.filter(({ digest }) => !told.has(digest))
}

/** Remembers the events, counts their tallies and keeps the inventory, in one statement. */
const record = async (
  { run }: { run: Run },
  arrivals: readonly Arrival[],
  sightings: Sightings,
): Promise<ReadonlySet<EventId>> => {
  const { statement, values } = joinParts([talliesPart(arrivals), ...inventoryParts(sightings)], KNOWN_BEFORE)
  return new Set((await run<{ id: EventId }>(statement, values)).map(({ id }) => id))
}
