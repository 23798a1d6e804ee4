import { digestToId, hashOf } from './event-id.js'
import type { ReportedItem } from './reported-item.js'

/**
 * Adds the registry that a notification token names to ids that are computed from the contents of events. Two registries may
 * report equal contents, and a sender with the token of one registry must not be able to use up the ids of another registry.
 * @param registry the name of the registry, not an alias
 * @param aliases the aliases of the registry: the same event may have been recorded under an alias before the alias was
 * configured
 */
export const scopeId = (event: ReportedItem, registry: string, aliases: () => readonly string[]): void => {
  const { contentsHash } = event
  if (contentsHash === undefined) return
  event.id = digestToId([registry, contentsHash])
  event.earlierIds = () => {
    const others = aliases()
    return {
      aliases: others.map((alias) => digestToId([alias, contentsHash])),
      unmarked: [registry, ...others].map((name) => hashOf([name, contentsHash])),
      unscoped: contentsHash,
    }
  }
}
