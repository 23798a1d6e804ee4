import { isFields, type Fields } from '../../events/json.js'
import { isRepositoryPath } from '../../events/reference.js'
import type { Rename } from '../../events/registry-event.js'
import type { ReportedEvent } from '../../events/reported-item.js'
import { exactText, freeText, isMissing, type UnreadableFields } from '../../events/side-fields.js'
import { addressOf } from '../client-address.js'
import { beginningOfAgent } from '../user-agent.js'
import { isEmptyIndex, objectKindOf, readDescriptors, sizeOf } from '../../events/descriptor.js'

/** The largest number of characters of a URL. Only its last part is read, after a host and a prefix of any length. */
const LONGEST_URL = 16_384

/**
 * Adds the fields of a target that describe the manifest or the blob. Unreadable fields are unknown, and are added to
 * `unreadable`.
 */
export const addObject = (event: ReportedEvent, target: Fields, unreadable: UnreadableFields): void => {
  const { action, tag } = event
  const mediaType = exactText(target.mediaType, 'target.mediaType', unreadable)
  const size = bytesOf(target.size, unreadable) ?? bytesOf(target.length, unreadable)
  const { descriptors, isWhole } = readDescriptors(target.references)
  if (!isWhole) unreadable.push('target.references')
  // For an index that lists nothing, registries omit the references, as if they did not report contents.
  const isEmpty = isWhole && descriptors === undefined && isEmptyIndex(mediaType, size)
  const references = isEmpty ? [] : descriptors
  const url = freeText(target.url, 'target.url', unreadable, LONGEST_URL)
  // Only blobs are mounted (distribution-spec 1.1, "Mounting a blob from another repository").
  const object = action === 'mount' ? 'blob' : objectKindOf({ url, mediaType, tag, references })
  const rename = action === 'rename' ? renameIn(target.rename) : undefined
  if (action === 'rename' && !rename && !isMissing(target.rename)) unreadable.push('target.rename')
  if (rename) event.rename = rename
  if (object) event.object = object
  if (mediaType !== undefined) event.mediaType = mediaType
  if (size !== undefined) event.size = size
  if (references) event.references = references
}

const bytesOf = (value: unknown, unreadable: UnreadableFields): number | undefined => {
  const bytes = sizeOf(value)
  if (bytes === undefined && !isMissing(value)) unreadable.push('target.size')
  return bytes
}

/** Reads GitLab's `target.rename`; undefined if it does not contain both paths. */
const renameIn = (value: unknown): Rename | undefined => {
  if (!isFields(value)) return undefined
  const { type, from, to } = value
  if (typeof from !== 'string' || !isRepositoryPath(from) || typeof to !== 'string' || !isRepositoryPath(to))
    return undefined
  return { what: type === 'namespace' ? 'namespace' : 'repository', from, to }
}

/** Adds the fields that identify the client, if they are readable. `addr` includes a port, unless a proxy sent the address. */
export const addClient = (
  event: ReportedEvent,
  { id, addr, useragent }: Fields,
  unreadable: UnreadableFields,
): void => {
  const requestId = exactText(id, 'request.id', unreadable)
  const address = addressIn(freeText(addr, 'request.addr', unreadable), unreadable)
  const agent = typeof useragent === 'string' ? beginningOfAgent(useragent) : useragent
  const userAgent = freeText(agent, 'request.useragent', unreadable)
  if (requestId !== undefined) event.requestId = requestId
  if (address !== undefined) event.address = address
  if (userAgent !== undefined) event.userAgent = userAgent
}

const addressIn = (text: string | undefined, unreadable: UnreadableFields): string | undefined => {
  if (text === undefined) return undefined
  const address = addressOf(text)
  if (address === undefined) unreadable.push('request.addr')
  return address
}
