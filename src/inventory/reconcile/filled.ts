import type { Described, RecordedState } from './recorded-state.js'
import type { Found } from './read-repository.js'

/**
 * What the registry showed and the inventory lacked about objects that it contains. This is no drift, since no known value was
 * wrong. For manifests: `contents`, `subjects` (whether they have one) and `platforms`; for blobs: `sizes`.
 */
export type FilledKind = 'contents' | 'platforms' | 'subjects' | 'sizes'
export type Filled = Record<FilledKind, number>

export const NOTHING_FILLED: Filled = { contents: 0, platforms: 0, subjects: 0, sizes: 0 }

/**
 * Counts what a repair fills in.
 * @param recorded what the inventory contains of the repository. An object that is missing there is drift, and not counted
 * here.
 * @param described what the inventory contains about the manifests that were read
 */
export const filledBy = (found: Found, recorded: RecordedState, described: ReadonlyMap<string, Described>): Filled => {
  const filled = { ...NOTHING_FILLED }
  for (const [digest, read] of found.manifests) {
    if (!read || !recorded.manifests.get(digest)?.live) continue
    const { contentsKnown = false, subjectKnown = false, hasPlatform = false } = described.get(digest) ?? {}
    if (!contentsKnown) filled.contents++
    if (!subjectKnown) filled.subjects++
    if (!hasPlatform && read.platform !== undefined) filled.platforms++
  }
  for (const [digest, { size }] of found.blobs) {
    const known = recorded.blobs.get(digest)
    if (known?.live && known.size === undefined && size !== undefined) filled.sizes++
  }
  return filled
}
