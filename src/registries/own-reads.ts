import { createHmac } from 'node:crypto'
import type { Registries, Registry } from './registries.js'

/** How the User-Agent of all requests of Tallyman begins. */
const PRODUCT = 'tallyman/'
const KEYS_AT_END = / (?:\(([0-9a-f]{16})\) )?\(([0-9a-f]{16})\)$/

/** The User-Agent of requests to servers that send no notifications, as token servers. */
export const userAgentOf = (version: string): string => PRODUCT + version

/**
 * The User-Agent of our own requests to a registry. It has a key of the registry's name, and before that one a key of the host of
 * its `url` if that is another. Keys are those of this registry alone, and the same in all processes and versions of an
 * installation. A registry and its logs contain them, so whoever reads them can pull without being counted, from this registry and
 * from no other.
 */
export const ownReadAgent = (
  version: string,
  secret: string,
  { name, url }: Pick<Registry, 'name' | 'url'>,
): string => {
  const host = url === undefined ? name : new URL(url).host
  const keys = host === name ? [name] : [host, name]
  return [userAgentOf(version), ...keys.map((key) => `(${keyOf(secret, key)})`)].join(' ')
}

type ReadEvent = { registry: string; host?: string; userAgent?: string }

/**
 * Recognizes the events that our own requests to a registry caused: they are no pulls. A key counts for events of the registry
 * that was asked with it: the one of its name, or the one that the host of its `url` is resolved to. Keys of aliases count for
 * it, too, as a registry that was renamed may report requests from before.
 *
 * A command may ask a registry that this process does not know, because the configuration changed or is another. Therefore keys of
 * the registry and of the host that an event reports count as well, whether a registry is configured or not.
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
  const isOf = (key: string, { registry, host }: ReadEvent): boolean => {
    const owner = ownerOf(key)
    if (owner !== undefined) return registry === owner.name || registry === nameOf(owner.host)
    if (key === keyOf(secret, registry)) return true
    return host !== undefined && registry === nameOf(host) && key === keyOf(secret, host)
  }
  return (event) => {
    const { userAgent } = event
    if (!userAgent?.startsWith(PRODUCT)) return false
    const found = KEYS_AT_END.exec(userAgent.slice(-MOST_OF_AGENT))?.slice(1) ?? []
    return found.some((key: string | undefined) => key !== undefined && isOf(key, event))
  }
}

/** Characters at the end of a User-Agent that have its keys in them. */
const MOST_OF_AGENT = 48

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
