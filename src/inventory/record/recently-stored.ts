import { createHash } from 'node:crypto'
import type { RegistryEvent } from '../../events/registry-event.js'
import type { Descriptor } from '../../events/descriptor.js'
import { createRecentMap } from '../../runtime/recent-map.js'
import { createActors, type Actors } from './actors.js'
import { statementOf } from './manifest-statements.js'
import type { Observations } from './observations.js'

/** Manifests that this process remembers: about as many as a busy registry has in one day. */
const MOST = 50_000

/**
 * The data that this process stored recently, so that the tenth pull of a manifest need not store again what the first one
 * stored. This memory may lack stored data, but never contains data that is not stored: storing data again changes nothing.
 */
export type RecentlyStored = {
  /**
   * Whether everything that the event states about the manifest was stated by its registry before. Only the newest statement is
   * remembered.
   */
  describes: (event: RegistryEvent) => boolean
  /** Whether the blobs of the manifest were added to the repository of the event. */
  implies: (event: RegistryEvent) => boolean
  actors: Actors
  /** Is called with events and their observations after both were stored. */
  learn: (events: readonly RegistryEvent[], observations: Observations) => void
  /** Drops everything. */
  forget: () => void
}

export const createRecentlyStored = (): RecentlyStored => {
  const described = createRecentMap<Description>(MOST)
  const implied = createRecentMap<true>(MOST)
  const actors = createActors()
  const contains = (known: Description | undefined, stated: Description): boolean =>
    known !== undefined &&
    (stated.mediaType ?? known.mediaType) === known.mediaType &&
    (stated.size ?? known.size) === known.size &&
    (stated.contents ?? known.contents) === known.contents
  return {
    actors,
    describes: (event) => contains(described.get(manifestKey(event)), descriptionOf(event)),
    implies: (event) => implied.get(repositoryManifestKey(event)) === true,
    learn: (events, { changes, renames }) => {
      actors.learn(changes)
      actors.learn(renames)
      for (const event of events) {
        if (event.object !== 'manifest' || event.digest === undefined || event.action === 'delete') continue
        const known = described.get(manifestKey(event))
        const stated = descriptionOf(event)
        described.set(manifestKey(event), {
          mediaType: stated.mediaType ?? known?.mediaType,
          size: stated.size ?? known?.size,
          contents: stated.contents ?? known?.contents,
        })
        implied.set(repositoryManifestKey(event), true)
      }
    },
    forget: () => {
      described.clear()
      implied.clear()
      actors.forget()
    },
  }
}

type Description = { mediaType: string | undefined; size: number | undefined; contents: string | undefined }

const descriptionOf = (event: RegistryEvent): Description => {
  const { mediaType, size, contents } = statementOf(event)
  return {
    // A list without a media type shows a kind, which may contradict the remembered one.
    mediaType: mediaType ?? (contents && ''),
    size,
    contents: contents && fingerprintOf(contents),
  }
}

/** A list is looked up several times, but hashed once. */
const fingerprints = new WeakMap<readonly Descriptor[], string>()

const fingerprintOf = (references: readonly Descriptor[]): string => {
  const known = fingerprints.get(references)
  if (known !== undefined) return known
  const fingerprint = createHash('sha256').update(JSON.stringify(references)).digest('base64')
  fingerprints.set(references, fingerprint)
  return fingerprint
}

const manifestKey = ({ registry, digest }: RegistryEvent): string => `${registry} ${digest ?? ''}`

const repositoryManifestKey = ({ registry, repository, digest }: RegistryEvent): string =>
  `${registry} ${repository} ${digest ?? ''}`
