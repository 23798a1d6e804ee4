import { UNKNOWN_REGISTRY } from './registry-event.js'
import type { UnreadableEvent } from './reported-item.js'

/** The name of the tally of set-aside events that may be about any repository. */
export const SET_ASIDE_ANYWHERE = 'events:set_aside_anywhere'

/** Whether the repository of a set-aside event, or the registry of the repository, is unknown. */
export const isAboutAnyRepository = ({ about }: UnreadableEvent): boolean =>
  about?.registry === undefined || about.registry.split('@', 1)[0] === UNKNOWN_REGISTRY
