import type { Additions } from '../counters/additions.js'
import { KNOWN_BEFORE, talliesPart, type Arrival } from '../counters/tallies.js'
import { keepUnresolved } from '../counters/unresolved-users.js'
import type { EventId, UnreadableEvent } from '../events/registry-event.js'
import { endSmallDeleted } from '../inventory/record/end-deleted.js'
import { expandManifests, expandShown } from '../inventory/record/expand.js'
import { lockManifests } from '../inventory/record/lock-manifests.js'
import type { Shown, Sightings } from '../inventory/record/sightings.js'
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
  const more = [unresolved, unreadable, sightings.renames, ended]
  const oneStatement = more.every(({ length }) => length === 0)
  const added = oneStatement ? sketches.addAlone(additions.list()) : undefined
  if (added) {
    // Most often: one statement, which is its own transaction, takes a third of the work of three.
    await added
    const { repeated, isNew } = await record(database, arrivals, sightings)
    const known = expansionOf(sightings, (digest) => !isNew.has(digest))
    // Should this fail, the events come again: the inventory takes them as if for the first time.
    if (known.digests.length > 0) {
      await database.transaction(async (tx) => {
        void toldByCommit(lockManifests(tx, known.digests))
        await expand(tx, known)
      })
    }
    return repeated
  }
  const { repeated } = await database.transaction(async (tx) => {
    const repeated = toldByCommit(record(tx, arrivals, sightings).then((recorded) => recorded.repeated))
    void toldByCommit(
      expand(
        tx,
        expansionOf(sightings, () => true),
      ),
    )
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

type Expansion = { digests: string[]; everywhere: string[]; here: Shown[] }

/**
 * What manifests hold goes to the repositories that have them. A manifest that nobody knew before is only where this batch saw
 * it, and the statement has told that already; what others learn of it meanwhile, they bring here.
 */
const expansionOf = ({ described, shown }: Sightings, wasKnown: (digest: string) => boolean): Expansion => {
  const everywhere = new Set(described.filter(wasKnown))
  const here = shown.filter(({ digest }) => wasKnown(digest) && !everywhere.has(digest))
  return { digests: [...everywhere, ...here.map(({ digest }) => digest)], everywhere: [...everywhere], here }
}

const expand = async (tx: { run: Run }, { everywhere, here }: Expansion): Promise<void> => {
  await Promise.all([expandManifests(tx, everywhere), expandShown(tx, here)])
}

/**
 * Remembers the events, counts their tallies and keeps the inventory, in one statement.
 * @returns the ids that were known before, and the manifests that were not.
 */
const record = async (
  { run }: { run: Run },
  arrivals: readonly Arrival[],
  sightings: Sightings,
): Promise<{ repeated: ReadonlySet<EventId>; isNew: ReadonlySet<string> }> => {
  const close = sightings.manifests.length > 0 ? KNOWN_BEFORE_AND_NEW : KNOWN_BEFORE
  const { statement, values } = joinParts([talliesPart(arrivals), ...inventoryParts(sightings)], close)
  const rows = await run<{ id: EventId | null; digest?: string | null }>(statement, values)
  return {
    repeated: new Set(rows.flatMap(({ id }) => id ?? [])),
    isNew: new Set(rows.flatMap(({ digest }) => digest ?? [])),
  }
}

const KNOWN_BEFORE_AND_NEW = (p: (number: number) => string): string => `
    select known.id, null as digest from (${KNOWN_BEFORE(p)}) known
    union all select null, digest from seen_manifests where is_new`
