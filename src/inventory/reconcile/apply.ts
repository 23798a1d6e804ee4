import { setTimeout } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Micros } from '../../events/calendar.js'
import { digestToId } from '../../events/event-id.js'
import { isConflict, type Database, type Transaction } from '../../storage/sql/database.js'
import { joinParts } from '../../storage/sql/statement-parts.js'
import { refuseMoving } from '../model/moving.js'
import { confirmObjects, markReconciled } from '../record/confirm.js'
import { propagateToShown } from '../record/propagate-blobs.js'
import { startManifest } from '../record/gather-observations.js'
import { learnManifests } from '../record/learn-manifest.js'
import type { Change, SeenObject, SeenTag, Observations } from '../record/observations.js'
import { inventoryParts } from '../record/observation-statement.js'
import type { FetchedManifest } from '../../registries/client/registry-client.js'
import { chunksOf, type Chunk } from './chunks.js'
import type { Difference } from './drift.js'
import type { RecordedState } from './recorded-state.js'
import { hasUntrusted, lowerUntrusted, NO_UNTRUSTED_TIMES, type UntrustedTimes } from './untrusted-times.js'
import type { Found } from './read-repository.js'

const CONFLICT_RETRIES = 3
/** Between two chunks. */
const REST_MS = 5

/**
 * Repairs the inventory of one repository by the rules of events: what the registry showed was confirmed at `found.at`, a tag
 * pointed there at that moment, and what is stale was deleted by then. So an event that is newer wins whenever it comes, and one
 * that is older undoes nothing.
 *
 * It goes in chunks, each a transaction, and events are stored between them: nobody waits for a large repository. As all of them
 * are of one moment, a chunk that is stored again changes nothing, and a repair that broke off is made again from its start.
 *
 * All that was seen is kept, not only what was missing: a delete from before, which is told later, must not win over it. What
 * is listed but not there leaves a mark, if the inventory has not heard of it yet.
 * Times of a clock that was ahead are moved to before `found.at` first: else they would win over the repair.
 * What is stale also gets a change of the action `gone`, with no actor.
 * @throws BeingMoved
 */
export const applyFound = async (
  database: Database,
  target: RepositoryName,
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
    // The embedded database works in this thread: what came in meanwhile is read only when nothing is asked of it.
    await setTimeout(REST_MS)
  }
  if (isComplete) await markReconciled(database.sql, { ...target, at: found.at })
}

type Repair = {
  recorded: RecordedState
  drift: readonly Difference[]
  /** Times that a repair would lose against, and is not to. */
  untrusted?: UntrustedTimes
  /** Whether `found` has every tag that the registry lists: the repository then counts as reconciled once all is stored. */
  isComplete?: boolean
}
type RepositoryName = { registry: string; repository: string }

const applyChunk = async (
  database: Database,
  target: RepositoryName,
  { found, drift }: Chunk,
  recorded: RecordedState,
  attempt = 0,
): Promise<void> => {
  const seen = observationsOf(target, found, { recorded, drift })
  if (!seen) return
  try {
    await database.transaction(async (tx) => {
      // A move may have begun since the comparison.
      await refuseMoving(tx, target)
      const { statement, values } = joinParts(inventoryParts(seen), () => 'select 1')
      await tx.run(statement, values)
      await confirmObjects(tx, {
        ...target,
        at: found.at,
        manifests: [...found.manifests.keys()],
        blobs: [...found.blobs].flatMap(([digest, { size, requested }]) => (requested ? [{ digest, size }] : [])),
      })
      await learnManifests(tx, readIn(found))
      await propagateToShown(tx, seen.shown)
      await correct(tx, target, found, drift)
    })
  } catch (error) {
    if (!isConflict(error) || attempt >= CONFLICT_RETRIES) throw error
    await applyChunk(database, target, { found, drift }, recorded, attempt + 1)
  }
}

/** What the registry showed, as if events had told it; undefined where it showed nothing and nothing is stale. */
const observationsOf = (
  { registry, repository }: RepositoryName,
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
    // Before learnManifests, in one order for all: batches and this wait for each other at these rows.
    manifests: readIn(found).map(({ digest }) => startManifest(digest)),
    changes: stale.map((one) => goneChange(registry, repository, one, at)),
    renames: [],
    lookups: [],
    pushes: [],
    received: at,
    described: [],
    shown: [...manifests.keys()].map((digest) => ({ number: 1, registry, name: repository, digest, isCovered: false })),
  }
}

const readIn = ({ manifests }: Found): FetchedManifest[] => [...manifests.values()].filter((read) => read !== undefined)

/** Its id is made from what it says, so that it is kept once. */
const goneChange = (registry: string, repository: string, { object, name }: Difference, at: Micros): Change => ({
  event: digestToId(['gone', registry, repository, object, name, at]),
  repository: 1,
  at,
  action: 'gone',
  ...(object === 'tag' ? { tag: name } : { digest: name }),
})

/** Of the sizes of blobs that events told, the greatest stays; the registry knows better. */
const correct = async (
  tx: Transaction,
  { registry, repository }: RepositoryName,
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
