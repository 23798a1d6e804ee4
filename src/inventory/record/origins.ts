import { createHmac } from 'node:crypto'
import type { RegistryEvent } from '../../events/registry-event.js'
import { createRecentMap } from '../../storage/recent-map.js'

const CHARACTERS = 22
/** Clients whose hash is remembered: making it takes longer than all else that is kept of most events. */
const REMEMBERED_CLIENTS = 10_000

/**
 * Tells clients apart without knowing them: a keyed hash (HMAC-SHA256, 128 bits, base64url) of address, user agent and the name of the user.
 * @returns undefined when an event has no address.
 */
export const createOrigins = (
  key: string,
): ((event: Pick<RegistryEvent, 'address' | 'userAgent' | 'actor'>) => string | undefined) => {
  const remembered = createRecentMap<string>(REMEMBERED_CLIENTS)
  return ({ address, userAgent = '', actor }) => {
    if (address === undefined) return undefined
    const client = JSON.stringify([address, userAgent, actor.name ?? ''])
    const known = remembered.get(client)
    if (known !== undefined) return known
    const hash = createHmac('sha256', `${key} origins`).update(client).digest('base64url').slice(0, CHARACTERS)
    remembered.set(client, hash)
    return hash
  }
}
