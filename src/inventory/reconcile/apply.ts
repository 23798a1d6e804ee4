import { setTimeout } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Micros } from '../../events/calendar.js'
import { digestToId } from '../../events/event-id.js'
import type { Database, Transaction } from '../../storage/sql/database.js'
import { retryConflicts } from '../../storage/sql/retry-conflicts.js'
import { joinerOf } from '../../storage/sql/statement-parts.js'
import { refuseMoving } from '../model/moving.js'
import { confirmObjects, markReconciled } from '../record/confirm.js'
import { propagateToShown } from '../record/propagate-blobs.js'
import { startManifest } from '../record/describe-manifest.js'
import { learnManifests } from '../record/learn-manifest.js'
import type { Change, SeenObject, SeenTag, Observations } from '../record/observations.js'
import { fillInventory, INVENTORY_PARTS } from '../record/observation-statement.js'
import type { FetchedManifest } from '../../registries/client/registry-client.js'
import { chunksOf, type Chunk } from './chunks.js'
import type { Difference } from './drift.js'
import type { RecordedState } from './recorded-state.js'
import { hasUntrusted, lowerUntrusted, NO_UNTRUSTED_TIMES, type UntrustedTimes } from './untrusted-times.js'
import type { Found } from './read-repository.js'

/** The pause between two chunks. */
const REST_MS = 5

/**
 * Repairs the inventory of one repository by the rules of events: what the registry showed was confirmed at `found.at`, a tag
 * pointed to its digest at that moment, and stale objects were deleted by then. So a newer event wins whenever it arrives, and
 * an older event undoes nothing. The repair is stored in chunks, one transaction each, and events are stored between them, so
 * that a large repository delays no one. All chunks have the same time, so storing a chunk again changes nothing. An
 * interrupted repair is repeated from its start. Everything that the registry showed is stored, not only what was missing: an
 * earlier delete that is reported later must not win over it. An object that a manifest lists but the registry lacks is marked
 * as deleted if the inventory does not contain it yet. Times of a clock that was ahead are first moved before `found.at`, since
 * they would win over the repair. Stale objects also get a change with the action `gone` and no actor.
 * @throws BeingMoved
 */
export const applyFound = async (
  database: Database,
  target: NamedRepository,
  found: Found,
  { recorded, drift, untrusted = NO_UNTRUSTED_TIMES, isComplete = false }: Repair,
): Promise<void> => {
  if (hasUntrusted(recorded, untrusted)) {
    const drifted = {
      manifests: namesOf(drift, 'manifest'),
      blobs: namesOf(drift, 'blob'),
      tags: namesOf(drift, 'tag'),
    }
    await lowerUntrusted(database, target, { times: untrusted, drifted, before: found.at })
  }
  for (const chunk of chunksOf(found, drift)) {
    await applyChunk(database, target, chunk, recorded)
    // The embedded database works in this thread: incoming requests are read only while it is idle.
    await setTimeout(REST_MS)
  }
  if (isComplete) await markReconciled(database.sql, { ...target, at: found.at })
}

type Repair = {
  recorded: RecordedState
  drift: readonly Difference[]
  /** Times that would win over the repair, and must not. */
  untrusted?: UntrustedTimes
  /**
   * Whether `found` has every tag that the registry lists: the repository then counts as reconciled once everything is stored.
   */
  isComplete?: boolean
}
type NamedRepository = { registry: string; repository: string }

const joinInventory = joinerOf(INVENTORY_PARTS, { requires: [], text: () => 'select 1' })

const applyChunk = async (
  database: Database,
  target: NamedRepository,
  { found, drift }: Chunk,
  recorded: RecordedState,
): Promise<void> => {
  const seen = observationsOf(target, found, { recorded, drift })
  if (!seen) return
  await retryConflicts(async () =>
    database.transaction(async (tx) => {
      // A move may have begun since the comparison.
      await refuseMoving(tx, target)
      const { statement, values } = joinInventory(fillInventory(seen))
      await tx.run(statement, values)
      await confirmObjects(tx, {
        ...target,
        at: found.at,
        manifests: [...found.manifests.keys()],
        blobs: [...found.blobs].flatMap(([digest, { size, requested }]) => (requested ? [{ digest, size }] : [])),
      })
      await learnManifests(tx, readIn(found))
      await propagateToShown(tx, seen.shown)
      await correctSizes(tx, target, found, drift)
    }),
  )
}

/** What the registry showed, in the form of observations from events; undefined if it showed nothing and nothing is stale. */
const observationsOf = (
  { registry, repository }: NamedRepository,
  found: Found,
  { recorded, drift }: { recorded: RecordedState; drift: readonly Difference[] },
): Observations | undefined => {
  const { at, tags, manifests, blobs } = found
  const stale = drift.filter(({ kind }) => kind === 'stale')
  const gone = (object: Difference['object']): string[] => namesOf(stale, object)
  const unrecorded = (absent: ReadonlySet<string>, known: ReadonlyMap<string, unknown>): string[] =>
    [...absent].filter((digest) => !known.has(digest))
  const deleted = (digest: string): SeenObject => ({ repository: 1, digest, deleted: at })
  const tagsSeen = [
    ...[...tags].map(([name, digest]): SeenTag => ({ repository: 1, name, digest, pointed: at, first: at })),
    ...gone('tag').map((name): SeenTag => ({ repository: 1, name, deleted: at })),
  ]
  const manifestsGone = [...gone('manifest'), ...unrecorded(found.absentManifests, recorded.manifests)].map(deleted)
  const blobsGone = [...gone('blob'), ...unrecorded(found.absentBlobs, recorded.blobs)].map(deleted)
  if (tagsSeen.length + manifests.size + blobs.size + manifestsGone.length + blobsGone.length === 0) return undefined
  return {
    repositories: [{ number: 1, registry, name: repository, first: at, last: at }],
    tags: tagsSeen,
    manifestsInRepositories: manifestsGone,
    blobsInRepositories: blobsGone,
    // Before learnManifests, and in the order that all transactions use: batches of events and this transaction wait for each
    // other at these rows.
    manifests: readIn(found).map(({ digest }) => startManifest(digest)),
    changes: stale.map((one) => goneChange(registry, repository, one, at)),
    renames: [],
    lookups: [],
    pushes: [],
    undecided: [],
    received: at,
    described: [],
    shown: [...manifests.keys()].map((digest) => ({ number: 1, registry, name: repository, digest, isCovered: false })),
  }
}

const readIn = ({ manifests }: Found): FetchedManifest[] => [...manifests.values()].filter((read) => read !== undefined)

/** The id is computed from the contents, so that the change is stored once. */
const goneChange = (registry: string, repository: string, { object, name }: Difference, at: Micros): Change => ({
  event: digestToId(['gone', registry, repository, object, name, at]),
  repository: 1,
  at,
  action: 'gone',
  ...(object === 'tag' ? { tag: name } : { digest: name }),
})

/** Corrects sizes of blobs. Of sizes that events stated, the greatest is stored; the size that the registry shows is right. */
const correctSizes = async (
  tx: Transaction,
  { registry, repository }: NamedRepository,
  { blobs }: Found,
  drift: readonly Difference[],
): Promise<void> => {
  const different = drift.filter(({ kind }) => kind === 'different')
  const digests = namesOf(different, 'blob')
  if (digests.length > 0) {
    await sql`
      update inventory.repository_blobs o set size = incoming.size
      from inventory.repositories r,
        unnest(${digests}::text[], ${digests.map((digest) => blobs.get(digest)?.size ?? null)}::bigint[]) as incoming (digest, size)
      where r.id = o.repository_id and r.registry = ${registry} and r.name = ${repository} and o.digest = incoming.digest
    `.execute(tx)
  }
}

const namesOf = (differences: readonly Difference[], wanted: Difference['object']): string[] =>
  differences.filter(({ object }) => object === wanted).map(({ name }) => name)
