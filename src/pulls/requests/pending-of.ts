import type { RegistryEvent } from '../../events/registry-event.js'
import { requestOf } from '../../events/registry-request.js'
import type { ClientOf } from '../../requesters/client.js'
import type { Place } from '../../requesters/location/places.js'
import { createRecentMap } from '../../runtime/recent-map.js'
import type { Origin, OriginOf } from '../../requesters/origins.js'
import type { PendingRequest, Who } from './pending.js'

export type PendingOf = (event: RegistryEvent) => PendingRequest | undefined

/** Agents and addresses that are remembered, so that each is read once. */
const MOST = 10_000

const remember = <Key extends string | undefined, Value extends object>(
  read: (key: Key) => Value,
): ((key: Key) => Value) => {
  const known = createRecentMap<Value>(MOST)
  return (key) => {
    const found = known.get(key ?? '')
    if (found) return found
    const value = read(key)
    known.set(key ?? '', value)
    return value
  }
}

type Needs = {
  originOf: OriginOf
  clientOf: ClientOf
  /** Of the address, which goes no further. */
  placeOf: (address: string) => Place
}

/** What an event asks to be kept for the fold: a pull, with whoever made it turned into an origin; undefined of anything else. */
export const createPendingOf = ({ originOf, clientOf, placeOf }: Needs): PendingOf => {
  const remembered = remember(clientOf)
  const placed = remember((address: string | undefined) => (address === undefined ? {} : placeOf(address)))
  /** By origin and address, which tell all of it. */
  const written = createRecentMap<string>(MOST)

  const whoOf = ({ address, userAgent = '', actor }: RegistryEvent, { origin, endpoint }: Origin): string => {
    const key = `${origin} ${address ?? ''}`
    const known = written.get(key)
    if (known !== undefined) return known
    const { client, kind, version, os, arch } = remembered(userAgent)
    const who: Who = {
      endpoint,
      source: 'notification',
      client,
      kind,
      ...(version !== undefined && { version }),
      ...(os !== undefined && { os }),
      ...(arch !== undefined && { arch }),
      ...placed(address),
      signedIn: actor.name !== undefined,
    }
    const text = JSON.stringify(who)
    written.set(key, text)
    return text
  }

  return (event) => {
    const request = requestOf(event)
    if (!request) return undefined
    const { address, userAgent = '', actor } = event
    const requester = {
      ...(address !== undefined && { address }),
      userAgent,
      ...(actor.name !== undefined && { name: actor.name }),
    }
    const origin = originOf(requester, event.at)
    return {
      ...request,
      origin: origin.origin,
      ...(origin.previous !== undefined && { previous: origin.previous }),
      ...(remembered(userAgent).fetches_twice === true && { fetchesTwice: true }),
      who: whoOf(event, origin),
    }
  }
}
