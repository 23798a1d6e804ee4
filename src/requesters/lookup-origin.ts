import type { Micros } from '../events/calendar.js'
import type { RegistryEvent } from '../events/registry-event.js'
import { keyedHash } from '../runtime/keyed-hash.js'
import { createRecentMap } from '../runtime/recent-map.js'

/** The number of clients whose hash is cached, because computing it takes longer than the rest of the work for most events. */
const REMEMBERED_CLIENTS = 10_000

/**
 * Distinguishes clients without storing their addresses: a keyed hash (HMAC-SHA256, 128 bits, base64url) of the address, the user
 * agent and the user name. The key contains the salt of the event's time. Deleted rows stay in the files of the database, but
 * reveal nothing once that salt is destroyed. A HEAD before a change of the salt is not joined with a GET after it.
 * @returns undefined for an event without an address
 */
export const createLookupOriginOf = (
  key: string,
  saltAt: (moment: Micros) => { text: string },
): ((event: Pick<RegistryEvent, 'address' | 'userAgent' | 'actor' | 'at'>) => string | undefined) => {
  const remembered = createRecentMap<string>(REMEMBERED_CLIENTS)
  return ({ address, userAgent = '', actor, at }) => {
    if (address === undefined) return undefined
    const salt = saltAt(at)
    const { name = '' } = actor
    const remembering = `${salt.text} ${address} ${name.length} ${name}${userAgent}`
    const known = remembered.get(remembering)
    if (known !== undefined) return known
    const client = JSON.stringify([address, userAgent, name])
    const hash = keyedHash(`${key} origins ${salt.text}`, client)
    remembered.set(remembering, hash)
    return hash
  }
}
