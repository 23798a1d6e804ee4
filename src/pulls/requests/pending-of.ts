import type { RegistryRequest } from '../../events/registry-request.js'
import type { ClientOf } from '../../requesters/client.js'
import type { Place } from '../../requesters/location/places.js'
import { createRecentMap } from '../../runtime/recent-map.js'
import type { Origin, OriginOf } from '../../requesters/origins.js'
import type { PendingRequest, Who } from './pending.js'

export type PendingOf = (request: RegistryRequest) => PendingRequest

/** The number of user agents, and of addresses, whose results are cached. */
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

type PendingDeps = {
  originOf: OriginOf
  clientOf: ClientOf
  /** Looks up the location of an address. The address itself is not passed on. */
  placeOf: (address: string) => Place
}

/** What is stored of a requester: an origin, a client and a location. */
export type StoredRequester = Pick<PendingRequest, 'origin' | 'previous' | 'who' | 'fetchesTwice'>

type StoredRequesterOf = (request: Pick<RegistryRequest, 'source' | 'requester' | 'at'>) => StoredRequester

export const createStoredRequesterOf = ({ originOf, clientOf, placeOf }: PendingDeps): StoredRequesterOf => {
  const remembered = remember(clientOf)
  const placed = remember((address: string | undefined) => (address === undefined ? {} : placeOf(address)))
  /** Cached by origin, address and source, which determine the whole text. */
  const written = createRecentMap<string>(MOST)

  const whoOf = (
    { source, requester }: Pick<RegistryRequest, 'source' | 'requester'>,
    { origin, endpoint }: Origin,
  ): string => {
    const { address, userAgent = '', user } = requester
    const key = `${source} ${origin} ${address ?? ''}`
    const known = written.get(key)
    if (known !== undefined) return known
    const { client, kind, version, os, arch } = remembered(userAgent)
    const who: Who = {
      endpoint,
      source,
      client,
      kind,
      ...(version !== undefined && { version }),
      ...(os !== undefined && { os }),
      ...(arch !== undefined && { arch }),
      ...placed(address),
      signedIn: user !== undefined,
    }
    const text = JSON.stringify(who)
    written.set(key, text)
    return text
  }

  return ({ source, requester, at }) => {
    const origin = originOf(requester, at)
    return {
      origin: origin.origin,
      ...(origin.previous !== undefined && { previous: origin.previous }),
      ...(remembered(requester.userAgent ?? '').fetches_twice === true && { fetchesTwice: true }),
      who: whoOf({ source, requester }, origin),
    }
  }
}

/** Converts a request to the form that is stored until the fold. */
export const createPendingOf = (deps: PendingDeps): PendingOf => {
  const storedRequesterOf = createStoredRequesterOf(deps)
  return (request) => {
    const { source, requester, ...kept } = request
    return { ...kept, ...storedRequesterOf({ source, requester, at: request.at }) }
  }
}
