import { createHmac } from 'node:crypto'
import type { Registries, Registry } from './registries.js'

/** How the User-Agent of all requests of Tallyman begins. */
const PRODUCT = 'tallyman/'
const KEY_AT_END = / \(([0-9a-f]{16})\)$/

/** The User-Agent of requests to servers that send no notifications, as token servers. */
export const userAgentOf = (version: string): string => PRODUCT + version

/**
 * The User-Agent of our own requests to a registry. The key in it is that of this registry alone, and the same in all processes
 * and versions of an installation. A registry and its logs contain the key, so whoever reads them can pull without being counted,
 * from this registry and from no other.
 */
export const ownReadAgent = (version: string, secret: string, registry: string): string =>
  `${userAgentOf(version)} (${keyOf(secret, registry)})`

type ReadEvent = { registry: string; userAgent?: string }

/**
 * Recognizes the events that our own requests to a registry caused: they are no pulls. A key counts for events of the registry
 * that was asked with it: the one of its name, or the one that the host of its `url` is resolved to. Keys of aliases count for
 * it, too, as a registry that was renamed may report requests from before.
 */
export const createIsOwnRead = (
  secret: string,
  { list, nameOf }: Pick<Registries, 'list' | 'nameOf'>,
): ((event: ReadEvent) => boolean) => {
  let keys: { of: readonly Registry[]; owners: ReadonlyMap<string, Owner> } | undefined
  const ownerOf = (key: string): Owner | undefined => {
    const registries = list()
    if (keys?.of !== registries) keys = { of: registries, owners: ownersIn(registries, secret) }
    return keys.owners.get(key)
  }
  return ({ registry, userAgent }) => {
    if (!userAgent?.startsWith(PRODUCT)) return false
    const key = KEY_AT_END.exec(userAgent.slice(-MOST_OF_AGENT))?.[1]
    const owner = key === undefined ? undefined : ownerOf(key)
    return owner !== undefined && (registry === owner.name || registry === nameOf(owner.host))
  }
}

/** Characters at the end of a User-Agent that have a key in them. */
const MOST_OF_AGENT = 32

/** The registry that a key is of, and the host where it is asked. */
type Owner = { name: string; host: string }

const ownersIn = (registries: readonly Registry[], secret: string): Map<string, Owner> =>
  new Map(
    registries.flatMap(({ name, aliases, url }) =>
      url === undefined
        ? []
        : [name, ...aliases].map((one) => [keyOf(secret, one), { name, host: new URL(url).host }] as const),
    ),
  )

/** The HMAC has a key of its own: user names are hashed with the secret itself, and a user may have any name. */
const keyOf = (secret: string, registry: string): string =>
  createHmac('sha256', `${secret} own reads`).update(registry).digest('hex').slice(0, 16)
