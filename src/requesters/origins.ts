import type { Micros } from '../events/calendar.js'
import type { Requester } from '../events/registry-request.js'
import { keyedHash } from '../runtime/keyed-hash.js'
import { createRecentMap } from '../runtime/recent-map.js'
import { networkOf, type Prefixes } from './address.js'
import type { Salts } from './salts.js'

/** Keyed hashes that distinguish clients without identifying them. */
export type Origin = {
  /** The hash of address, user agent and name. The number of people is lower if people use several tools. */
  origin: string
  /** The hash of the address alone. The number of people is higher if people share an address. */
  endpoint: string
  /** Only for a time after a change of the salt: the origin with the previous salt. */
  previous?: string
}

export type OriginOf = (requester: Requester, at: Micros) => Origin

type OriginDeps = { key: string; salts: Pick<Salts, 'at' | 'before'>; prefixes: Prefixes; window: Micros }

/** The number of cached origins, so that a client is hashed once. */
const MOST = 20_000

/**
 * Computes origins and endpoints: HMAC-SHA256 of the network of the address, with the key of the installation and the salt of the
 * period (docs/definitions-of-numbers.md, "Unique pullers"). The address itself is not passed on.
 */
export const createOriginOf = ({ key, salts, prefixes, window }: OriginDeps): OriginOf => {
  const known = createRecentMap<Origin>(MOST)
  return (requester, at) => {
    const salt = salts.at(at)
    const before = at - salt.from <= window ? salts.before(salt) : undefined
    const { address = '', userAgent = '', user = '' } = requester
    const hashed = `${salt.text} ${before?.text ?? ''} ${address} ${user.length} ${user}${userAgent}`
    const found = known.get(hashed)
    if (found) return found
    const network = networkOf(address, prefixes) ?? ''
    const who = JSON.stringify([network, userAgent.trim().replace(/\s+/g, ' '), user])
    const hash = (text: string, what: string): string =>
      keyedHash(`${key} pulls ${text}`, `${what} ${what === 'origin' ? who : network}`)
    const made: Origin = {
      origin: hash(salt.text, 'origin'),
      endpoint: hash(salt.text, 'endpoint'),
      ...(before && { previous: hash(before.text, 'origin') }),
    }
    known.set(hashed, made)
    return made
  }
}
