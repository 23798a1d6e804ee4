import { createHash } from 'node:crypto'
import type { EventId, EventIdentity } from './registry-event.js'

/**
 * An id for what has none of its own: the same for the same value. It is a UUID of version 8 (RFC 9562, section 5.8). Nobody can give an
 * event such an id: `givenIdentity` hashes it.
 */
export const digestToId = (value: unknown): EventId => marked(hashOf(value))

/** The id that earlier versions made of a value, which any sender can give to another event. */
export const hashOf = (value: unknown): EventId =>
  createHash('sha256')
    .update(JSON.stringify(value))
    .digest('hex')
    .slice(0, 32)
    .replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5') as EventId

/** The identity of what has no UUID, by what it contains. */
export const identityOfContents = (contents: unknown): EventIdentity => {
  const hash = hashOf(contents)
  return { id: marked(hash), contentsHash: hash, earlierIds: () => ({ unmarked: [hash] }) }
}

/** The identity of what has a UUID, whatever else it says. */
export const givenIdentity = (uuid: string): EventIdentity => {
  const id = uuid.toLowerCase() as EventId
  return IS_MARKED.test(id) ? { id: digestToId(['a given id', id]), earlierIds: () => ({ unmarked: [id] }) } : { id }
}

const IS_MARKED = /^.{14}8.{4}[89ab]/

/** Variants of UUIDs as RFC 9562 defines them: the two highest bits are 10. */
const VARIANTS = '89ab'

const marked = (id: EventId): EventId =>
  `${id.slice(0, 14)}8${id.slice(15, 19)}${VARIANTS.charAt(parseInt(id.charAt(19), 16) & 3)}${id.slice(20)}` as EventId
