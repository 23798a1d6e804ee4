import { isIP } from 'node:net'
import { isFields, type Fields } from '../../events/json.js'
import { isRepositoryPath } from '../../events/reference.js'
import type { Rename, ReportedEvent } from '../../events/registry-event.js'
import { exactText, freeText, isMissing, type UnreadableFields } from '../../events/side-fields.js'
import { flatCopy } from '../../runtime/flat-copy.js'
import { isEmptyIndex, objectKindOf, readDescriptors, sizeOf } from '../../events/descriptor.js'

/** Characters of a URL, of which only the last part is read: a host and a prefix of any length may come before it. */
const LONGEST_URL = 16_384

/** Adds what a target says of the manifest or blob itself. Whatever of it cannot be read is unknown, and noted. */
export const addObject = (event: ReportedEvent, target: Fields, unreadable: UnreadableFields): void => {
  const { action, tag } = event
  const mediaType = exactText(target.mediaType, 'target.mediaType', unreadable)
  const size = bytesOf(target.size, unreadable) ?? bytesOf(target.length, unreadable)
  const { descriptors, isWhole } = readDescriptors(target.references)
  if (!isWhole) unreadable.push('target.references')
  // Registries leave out the references of an index that lists nothing, as if its contents were not reported.
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

/** GitLab's `target.rename`; undefined when it does not say what was renamed. */
const renameIn = (value: unknown): Rename | undefined => {
  if (!isFields(value)) return undefined
  const { type, from, to } = value
  if (typeof from !== 'string' || !isRepositoryPath(from) || typeof to !== 'string' || !isRepositoryPath(to))
    return undefined
  return { what: type === 'namespace' ? 'namespace' : 'repository', from, to }
}

/** Characters of a user agent that are kept: what a client is stands at its beginning. */
const LONGEST_AGENT = 512

const beginningOf = (text: string): string =>
  text.length <= LONGEST_AGENT ? text : flatCopy(text.slice(0, LONGEST_AGENT).replace(/[\ud800-\udbff]$/, ''))

/**
 * Adds who asked, as far as it can be read. `addr` has a port, unless a proxy sent the address. The zone of an IPv6 address
 * (RFC 4007) is a name on the registry's machine alone, and libraries differ on what one may be.
 */
export const addClient = (
  event: ReportedEvent,
  { id, addr, useragent }: Fields,
  unreadable: UnreadableFields,
): void => {
  const requestId = exactText(id, 'request.id', unreadable)
  const address = addressIn(freeText(addr, 'request.addr', unreadable), unreadable)
  const agent = typeof useragent === 'string' ? beginningOf(useragent) : useragent
  const userAgent = freeText(agent, 'request.useragent', unreadable)
  if (requestId !== undefined) event.requestId = requestId
  if (address !== undefined) event.address = address
  if (userAgent !== undefined) event.userAgent = userAgent
}

const addressIn = (text: string | undefined, unreadable: UnreadableFields): string | undefined => {
  if (text === undefined) return undefined
  const [, bracketed] = /^\[([^\]]+)\]/.exec(text) ?? []
  const [address = ''] = (bracketed ?? (isIP(text) === 0 ? text.replace(/:\d+$/, '') : text)).split('%', 1)
  if (isIP(address) !== 0) return address
  unreadable.push('request.addr')
  return undefined
}
