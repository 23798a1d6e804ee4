import type { Micros } from '../events/calendar.js'
import type { Requester } from '../events/registry-request.js'
import { keyedHash } from '../runtime/keyed-hash.js'
import { createRecentMap } from '../runtime/recent-map.js'
import { networkOf, type Prefixes } from './address.js'
import type { Salts } from './salts.js'

/** Names that distinguish clients, and identify no one. */
export type Origin = {
  /** Of address, user agent and name: too many when people use several tools. */
  origin: string
  /** Of the address alone: too few when people share one. */
  endpoint: string
  /** Just after the salt changed: the origin by the one before. */
  previous?: string
}

export type OriginOf = (requester: Requester, at: Micros) => Origin

type OriginDeps = { key: string; salts: Pick<Salts, 'at' | 'before'>; prefixes: Prefixes; window: Micros }

/** Origins that are remembered, so that a client is hashed once. */
const MOST = 20_000

/**
 * Makes origins and endpoints: HMAC-SHA256 over the network of the address, keyed with the key of the installation and the
 * salt of the period (docs/definitions-of-numbers.md, "Unique pullers"). The address itself goes no further.
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
