import type { Difference } from './drift.js'
import { nothingAt, type Found } from './read-repository.js'

/** A part of the findings in a repository, and of its drift. */
export type Chunk = { found: Found; drift: readonly Difference[] }

/** Objects of a chunk: few enough to be stored well within a second, because events of the repository wait for it. */
const CHUNK = 200

/**
 * Splits findings into chunks of a few hundred objects of one kind: manifests, then blobs, then the tags that point to them.
 */
export const chunksOf = (found: Found, drift: readonly Difference[]): Chunk[] => {
  const { tags, manifests, absentManifests, blobs, absentBlobs } = found
  const requestedBlobs = [...blobs].flatMap(([digest, { requested }]) => (requested ? [digest] : []))
  const nothing = nothingAt(found.at)
  return [
    ...chunksOfOne('manifest', [manifests.keys(), absentManifests], drift, (names) => ({
      ...nothing,
      manifests: entriesOf(manifests, names),
      absentManifests: membersOf(absentManifests, names),
    })),
    ...chunksOfOne('blob', [requestedBlobs, absentBlobs], drift, (names) => ({
      ...nothing,
      blobs: entriesOf(blobs, names),
      absentBlobs: membersOf(absentBlobs, names),
    })),
    ...chunksOfOne('tag', [tags.keys()], drift, (names) => ({ ...nothing, tags: entriesOf(tags, names) })),
  ]
}

const chunksOfOne = (
  object: Difference['object'],
  found: readonly Iterable<string>[],
  drift: readonly Difference[],
  only: (names: readonly string[]) => Found,
): Chunk[] => {
  const differences = new Map<string, Difference[]>()
  for (const one of drift) {
    // Missing objects are among the found ones.
    if (one.object === object && one.kind !== 'missing')
      differences.set(one.name, [...(differences.get(one.name) ?? []), one])
  }
  const names = [...new Set([...found.flatMap((some) => [...some]), ...differences.keys()])]
  return Array.from({ length: Math.ceil(names.length / CHUNK) }, (_, i) => {
    const some = names.slice(i * CHUNK, (i + 1) * CHUNK)
    return { found: only(some), drift: some.flatMap((name) => differences.get(name) ?? []) }
  })
}

const entriesOf = <Value>(all: ReadonlyMap<string, Value>, names: readonly string[]): Map<string, Value> =>
  new Map(names.flatMap((name) => (all.has(name) ? [[name, all.get(name) as Value] as const] : [])))

const membersOf = (all: ReadonlySet<string>, names: readonly string[]): Set<string> =>
  new Set(names.filter((name) => all.has(name)))
