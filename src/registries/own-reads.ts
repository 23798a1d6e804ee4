import { createHmac } from 'node:crypto'
import type { Registries, Registry } from './registries.js'

/** The beginning of the User-Agent of all requests of Tallyman. */
const PRODUCT = 'tallyman/'
const KEYS_AT_END = / (?:\(([0-9a-f]{16})\) )?\(([0-9a-f]{16})\)$/

/** The User-Agent of requests to servers that send no notifications, such as token servers. */
export const userAgentOf = (version: string): string => PRODUCT + version

/**
 * The User-Agent of our own requests to a registry. It contains a key for the registry's name, preceded by a key for the host of its
 * `url` if that differs. Each registry has its own keys, which are the same in all processes and versions of an installation. The
 * registry and its logs contain the keys, so a reader of them can pull uncounted, but only from this registry.
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

type ReadEvent = { registry: string; host?: string | undefined; userAgent?: string | undefined }

/**
 * Recognises the events of our own requests to a registry, which are no pulls. A key is valid for events of the registry that got
 * the request: the registry with the key's name, or the one to which the host of its `url` resolves. Keys of aliases are valid, too,
 * because a renamed registry may report requests from before its renaming.
 *
 * A command may read from a registry that this process does not know, because the command has another configuration. Therefore keys of
 * the event's registry and of its host are also valid, whether the registry is configured or not.
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

/** The keys are within so many characters at the end of a User-Agent. */
const MOST_OF_AGENT = 48

/** The registry of a key, and the host of its address. */
type Owner = { name: string; host: string }

const ownersIn = (registries: readonly Registry[], secret: string): Map<string, Owner> =>
  new Map(
    registries.flatMap(({ name, aliases, url }) =>
      url === undefined
        ? []
        : [name, ...aliases].map((one) => [keyOf(secret, one), { name, host: new URL(url).host }] as const),
    ),
  )

/** The HMAC has a separate key: user names are hashed with the secret itself, and a user may have any name. */
const keyOf = (secret: string, registry: string): string =>
  createHmac('sha256', `${secret} own reads`).update(registry).digest('hex').slice(0, 16)
