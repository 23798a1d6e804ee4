import type { RegistryEvent } from '../../events/registry-event.js'
import { isComplete, joinStatements, statementOf } from './manifest-statements.js'
import type { SeenManifest } from './observations.js'

type Observers = 'shownBy' | 'statedBy' | 'completedBy' | 'typedBy'
export type DescribedManifest = SeenManifest & Record<Observers, Set<string>>

/** A manifest about which nothing was stated yet. */
export const startManifest = (digest: string): DescribedManifest => ({
  digest,
  shownBy: new Set(),
  statedBy: new Set(),
  completedBy: new Set(),
  typedBy: new Set(),
})

/**
 * Adds the statement of an event. If two statements contradict each other, the manifest becomes contested, so that the order of
 * the batch does not decide which one counts.
 */
export const describeManifest = (manifest: DescribedManifest, event: RegistryEvent): void => {
  const { registry } = event
  const stated = statementOf(event)
  const { mediaType, contents } = stated
  manifest.shownBy.add(registry)
  if (contents) manifest.statedBy.add(registry)
  if (manifest.contested) return
  const joined = joinStatements(manifest, stated)
  if (joined) {
    if (contents && joined.contents) {
      if (joined.contents !== manifest.contents) manifest.completedBy.clear()
      if (isComplete(contents, joined.contents)) manifest.completedBy.add(registry)
    }
    if (joined.mediaType !== manifest.mediaType) manifest.typedBy.clear()
    if (mediaType !== undefined && mediaType === joined.mediaType) manifest.typedBy.add(registry)
    Object.assign(manifest, joined)
  } else {
    delete manifest.mediaType
    delete manifest.size
    delete manifest.contents
    manifest.contested = true
  }
}
