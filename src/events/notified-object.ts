import { isIP } from 'node:net'
import { isFields, type Fields } from './excerpt.js'
import { isRepositoryPath, type Tag } from './reference.js'
import type { Action, RegistryEvent, Rename } from './registry-event.js'
import { descriptorsIn, objectKindOf, shortText, sizeOf } from './target.js'

/** What a target says of the manifest or blob itself. Whatever of it cannot be read is left out: it counts all the same. */
export const objectOf = (
  target: Fields,
  action: Action,
  tag: Tag | undefined,
): Pick<RegistryEvent, 'object' | 'mediaType' | 'size' | 'references' | 'rename'> => {
  const mediaType = shortText(target.mediaType)
  const size = sizeOf(target.size ?? target.length)
  const references = descriptorsIn(target.references)
  // Only blobs are mounted (distribution-spec 1.1, "Mounting a blob from another repository").
  const object = action === 'mount' ? 'blob' : objectKindOf({ url: shortText(target.url), mediaType, tag })
  const rename = action === 'rename' ? renameIn(target.rename) : undefined
  return {
    ...(rename && { rename }),
    ...(object && { object }),
    ...(mediaType !== undefined && { mediaType }),
    ...(size !== undefined && { size }),
    ...(references && { references }),
  }
}

/** GitLab's `target.rename`; undefined when nobody could tell what was renamed. */
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
  text.length <= LONGEST_AGENT ? text : text.slice(0, LONGEST_AGENT).replace(/[\ud800-\udbff]$/, '')

/**
 * Who asked, as far as it can be read. `addr` has a port, unless a proxy told it. The zone of an IPv6 address (RFC 4007) is a
 * name on the registry's machine alone, and libraries differ on what one may be.
 */
export const clientOf = ({
  id,
  addr,
  useragent,
}: Fields): Pick<RegistryEvent, 'requestId' | 'address' | 'userAgent'> => {
  const requestId = shortText(id)
  const told = shortText(addr) ?? ''
  const [, bracketed] = /^\[([^\]]+)\]/.exec(told) ?? []
  const [address = ''] = (bracketed ?? (isIP(told) === 0 ? told.replace(/:\d+$/, '') : told)).split('%', 1)
  const userAgent = shortText(typeof useragent === 'string' ? beginningOf(useragent) : undefined)
  return {
    ...(requestId !== undefined && { requestId }),
    ...(isIP(address) !== 0 && { address }),
    ...(userAgent !== undefined && { userAgent }),
  }
}
