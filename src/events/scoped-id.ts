import { digestToId, hashOf } from './event-id.js'
import type { ReportedItem } from './registry-event.js'

/**
 * Makes the registry that a notification token names part of ids that are made of an event's contents. Two registries may report
 * the same contents, and the holder of one token must not use up the ids of another registry.
 * @param registry the name of the registry, not an alias
 * @param aliases of the registry: the same event may have been recorded under one of them, before it was an alias
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
