import { MICROS_PER_DAY, type Micros } from '../../events/calendar.js'
import type { WriteRows } from '../../storage/sql/copy-rows.js'
import type { Sql } from '../../storage/sql/database.js'
import { openManifests, type RequestedManifest } from '../fold-job/batch-inputs.js'
import type { StoredChain } from '../fold-job/chains.js'
import { createKnownManifests } from '../fold-job/known-manifests.js'
import { createTotals, type Growth } from '../fold-job/totals.js'
import { NONE, OBJECTS } from '../fold/columns.js'
import { openOutcomesOf } from '../fold/state.js'
import type { JoinWindows } from '../model/join-windows.js'
import { eachSegment, listSegments, type StoredSegment } from '../segments/segment-table.js'
import { createDayColumns, type DayColumns } from './day-columns.js'
import { setFolded, setFoldedTo, stateBefore, stateIn, stateOf, textOfState, type ChangedDay } from './day-state.js'
import { foldPart, type FoldedPart, type HeldOutcome, type OutcomeKey } from './fold-part.js'
import { createOriginNames, createPartitions, type Partitions, type PartitionOptions } from './partitions.js'
import { directTable, mergingTable, type OutcomeTable } from './outcome-table.js'
import { deleteOutcomesOf, writeHeld } from './replace-outcomes.js'

/** A log that reported no request for a blob for so long is taken as one that reports none. */
const MAX_GAP = 30 * MICROS_PER_DAY
/** Entries of manifests in memory. */
const MOST_ENTRIES = 500_000

const [MANIFEST, BLOB] = [OBJECTS.indexOf('manifest'), OBJECTS.indexOf('blob')] as const

type FoldDayDeps = {
  windows: JoinWindows
  partitions: PartitionOptions
  /** Whether two outcomes may have one key. Then one of them is stored, else the day fails with a duplicate key. */
  merges: boolean
}

/**
 * Folds the requests of a registry's day, and replaces the outcomes of the day. If another state is left for the next day, that day is
 * marked as changed. The transaction must have the lock of the registry.
 */
export const foldDay = async (
  tx: Sql,
  changed: ChangedDay,
  { windows, partitions: options, merges }: FoldDayDeps,
): Promise<void> => {
  const { registry, day } = changed
  const start = microsOfDay(day)
  const earlier = await stateBefore(tx, registry, day)
  const stateOfLast = await stateOf(tx, registry, day)
  const kept = stateOfLast === undefined ? [] : keysIn(stateIn(stateOfLast, registry).chains, start)
  const totals = createTotals()
  await deleteOutcomesOf(tx, { registry, start, kept, totals })

  const table = merges ? await mergingTable(tx, registry) : directTable(tx)
  const segments = await listSegments(tx, day, [registry])
  const { partitions, hasBlobs } = await divide(tx, segments, options)
  let blobsOn = hasBlobs ? day : isRecent(earlier.blobsOn, start) ? earlier.blobsOn : undefined
  const reportsBlobs = (at: Micros): boolean => at >= start && blobsOn !== undefined
  const isStored = isAmong(kept)
  const chains: StoredChain[] = []
  const held: HeldOutcome[] = []
  const growths: Growth[] = []
  let latest = -Infinity
  for (let part = 0; part < partitions.count; part++) {
    const columns = await loadPart(tx, segments, { partitions, part })
    if (columns.columns.object.includes(BLOB)) blobsOn = day
    const its = earlier.chains.filter(({ chain }) => isIn(chain.key, partitions, part))
    const manifests = createKnownManifests(registry, MOST_ENTRIES)
    const requested = requestedIn(columns)
    await manifests.learn(tx, [...requested, ...openManifests(its)], requested)
    const folded = await copied(table, async (write) =>
      foldPart(columns, { registry, start, earlier: its, isStored, reportsBlobs, manifests, windows, write }),
    )
    for (const one of folded.open) chains.push(one)
    for (const one of folded.held) held.push(one)
    for (const growth of folded.growths) growths.push(growth)
    latest = columns.columns.at.reduce((one, other) => Math.max(one, other), latest)
  }

  const state = textOfState({ chains, ...(blobsOn !== undefined && { blobsOn }) })
  await setFolded(tx, changed, { state, isNew: state !== (stateOfLast ?? textOfState(earlier)) })
  const ofHeld = await writeHeld(tx, { registry, start, held, kept, isSame: state === stateOfLast, totals, table })
  for (const growth of await table.end([...growths, ...ofHeld])) totals.grow(growth)
  await totals.save(tx)
  if (Number.isFinite(latest)) await setFoldedTo(tx, registry, latest)
}

/** Divides a day so that a part of its requests fits in memory. */
const divide = async (
  tx: Sql,
  segments: readonly StoredSegment[],
  options: PartitionOptions,
): Promise<{ partitions: Partitions; hasBlobs: boolean }> => {
  const rows = segments.reduce((sum, { requests }) => sum + requests, 0)
  const names = createOriginNames(options.seed)
  const partitions = createPartitions(rows, options, names)
  // The only part has all requests.
  if (partitions.count === 1) return { partitions, hasBlobs: false }
  let hasBlobs = false
  await eachSegment(tx, segments, (segment) => {
    names.add(segment)
    hasBlobs ||= segment.whats.some(({ object }) => object === BLOB)
  })
  return { partitions, hasBlobs }
}

const isIn = (
  { repository, origin }: StoredChain['chain']['key'],
  { hashOfRepository, hashOfOrigin, partOf }: Partitions,
  part: number,
): boolean => partOf(hashOfRepository(repository), hashOfOrigin(origin)) === part

/** Requests that a part may have above the average before its columns grow. */
const SURPLUS = 1.05

const loadPart = async (
  tx: Sql,
  segments: readonly StoredSegment[],
  { partitions, part }: { partitions: Partitions; part: number },
): Promise<DayColumns> => {
  const rows = segments.reduce((sum, { requests }) => sum + requests, 0)
  const expected = partitions.count === 1 ? rows : Math.ceil((SURPLUS * rows) / partitions.count)
  const builder = createDayColumns(partitions, part, expected)
  await eachSegment(tx, segments, builder.add)
  return builder.columns()
}

const copied = async (table: OutcomeTable, fold: (write: WriteRows) => Promise<FoldedPart>): Promise<FoldedPart> => {
  let folded: FoldedPart = { held: [], growths: [], open: [] }
  await table.copy(async (write) => {
    folded = await fold(write)
  })
  return folded
}

/** The outcomes of a day that were open at its end. */
const keysIn = (chains: readonly StoredChain[], start: Micros): OutcomeKey[] =>
  chains.flatMap(({ chain }) =>
    openOutcomesOf(chain)
      .filter(({ at }) => at >= start)
      .map(({ repository, at, id }) => ({ repository, at, id })),
  )

/** Most moments have no such outcome, so that its id is not read. */
const isAmong = (keys: readonly OutcomeKey[]): ((at: Micros, id: () => string) => boolean) => {
  const moments = new Set(keys.map(({ at }) => at))
  const ids = new Set(keys.map(({ id }) => id))
  return (at, id) => moments.has(at) && ids.has(id())
}

const requestedIn = ({ columns, chains, repositories, names }: DayColumns): RequestedManifest[] => {
  const seen = new Map<number, Set<number>>()
  for (let row = 0; row < columns.length; row++) {
    const digest = columns.digest[row] ?? NONE
    if (digest === NONE || columns.object[row] !== MANIFEST) continue
    const repository = chains.firstOf(columns.chain[row] ?? 0)
    let digests = seen.get(repository)
    if (!digests) seen.set(repository, (digests = new Set()))
    digests.add(digest)
  }
  return [...seen].flatMap(([repository, digests]) =>
    [...digests].map((digest) => ({
      repository: repositories.textOf(repository),
      digest: names.textOf(digest),
    })),
  )
}

const isRecent = (day: string | undefined, now: Micros): boolean =>
  day !== undefined && now - microsOfDay(day) <= MAX_GAP

const microsOfDay = (day: string): Micros => Date.parse(day) * 1_000
