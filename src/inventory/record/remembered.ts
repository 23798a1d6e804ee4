import type { RegistryEvent } from '../../events/registry-event.js'
import { createRecentMap } from '../../storage/recent-map.js'
import { createActors, type Actors } from './actors.js'
import type { Sightings } from './sightings.js'

/** Manifests this process remembers; a busy registry's manifests of a day. */
const MOST = 50_000

/**
 * What this process has stored already, so that the tenth pull of a manifest need not say again what the first has said. It
 * may forget, but never makes up: saying something again changes nothing.
 */
export type Remembered = {
  /** Everything the event says of the manifest itself, whatever the repository. */
  describes: (event: RegistryEvent) => boolean
  /** That the blobs of the manifest are in the event's repository. */
  implies: (event: RegistryEvent) => boolean
  actors: Actors
  /** Is called with events, and the sightings in them, when both are stored. */
  learn: (events: readonly RegistryEvent[], sightings: Sightings) => void
}

export const createRemembered = (): Remembered => {
  const described = createRecentMap<string>(MOST)
  const implied = createRecentMap<true>(MOST)
  const actors = createActors()
  return {
    actors,
    describes: (event) => described.get(event.digest ?? '') === descriptionOf(event),
    implies: (event) => implied.get(placeOf(event)) === true,
    learn: (events, { changes, renames }) => {
      actors.learn(changes)
      actors.learn(renames)
      for (const event of events) {
        if (event.object !== 'manifest' || event.digest === undefined || event.action === 'delete') continue
        described.set(event.digest, descriptionOf(event))
        implied.set(placeOf(event), true)
      }
    },
  }
}

const descriptionOf = ({ mediaType, size, references }: RegistryEvent): string =>
  `${mediaType ?? ''} ${size ?? ''} ${references ? 'told' : ''}`

const placeOf = ({ registry, repository, digest }: RegistryEvent): string => `${registry} ${repository} ${digest ?? ''}`
