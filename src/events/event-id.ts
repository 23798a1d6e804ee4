import { createHash } from 'node:crypto'
import { isUuid } from './reference.js'
import type { EventId, EventIdentity } from './registry-event.js'

/**
 * Computes an id for a value that has no id of its own: equal values get equal ids. The id is a UUID of version 8 (RFC 9562,
 * section 5.8). No sender can choose such an id for an event, because `givenIdentity` hashes ids of version 8.
 */
export const digestToId = (value: unknown): EventId => marked(hashOf(value))

/** The id that earlier versions computed from a value. Any sender can give this id to another event. */
export const hashOf = (value: unknown): EventId =>
  createHash('sha256')
    .update(JSON.stringify(value))
    .digest('hex')
    .slice(0, 32)
    .replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5') as EventId

/** The identity of an event without a UUID, computed from its contents. */
export const identityOfContents = (contents: unknown): EventIdentity => {
  const hash = hashOf(contents)
  return { id: marked(hash), contentsHash: hash, earlierIds: () => ({ unmarked: [hash] }) }
}

/** The identity of an event with a UUID, whatever its other fields contain. Any other text is hashed. */
export const givenIdentity = (uuid: string): EventIdentity => {
  if (!isUuid(uuid)) return identityOfContents(uuid)
  const id = uuid.toLowerCase() as EventId
  return IS_MARKED.test(id) ? { id: digestToId(['a given id', id]), earlierIds: () => ({ unmarked: [id] }) } : { id }
}

const IS_MARKED = /^.{14}8.{4}[89ab]/

/** The possible variant digits of a UUID by RFC 9562: the two highest bits are 10. */
const VARIANTS = '89ab'

const marked = (id: EventId): EventId =>
  `${id.slice(0, 14)}8${id.slice(15, 19)}${VARIANTS.charAt(parseInt(id.charAt(19), 16) & 3)}${id.slice(20)}` as EventId
