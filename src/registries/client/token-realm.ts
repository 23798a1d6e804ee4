import { isHost } from '../../events/registry-host.js'
import { RegistryError } from './exchange.js'

/** A registry that may name a token server. */
export type TokenRealmOf = {
  /** The name of the registry in the configuration, for the message. */
  name: string
  /** The address of the registry. */
  url: URL
  /** The configured host of its token server, with a port unless that is the scheme's default. */
  tokenHost?: string | undefined
}

/** Token servers of public registries that are on another site than their registry. */
const KNOWN_TOKEN_HOSTS: ReadonlyMap<string, string> = new Map([
  ['docker.io', 'auth.docker.io'],
  ['index.docker.io', 'auth.docker.io'],
  ['registry-1.docker.io', 'auth.docker.io'],
  ['registry.digitalocean.com', 'api.digitalocean.com'],
])

/**
 * The address of the token server that a registry names in a challenge (distribution's docs, "Token Authentication
 * Specification"). The registry chooses the address, and Tallyman sends the registry's credentials there. So it must be one of
 *
 * - the host of the registry, on any port; on a loopback address only on the same port, because another port is another program;
 * - a parent domain of that host with at least two labels (`gitlab.example` for `registry.gitlab.example`), or a subdomain of it
 *   (`auth.registry.example` for `registry.example`): the owner of a domain also owns the names below it. Two names below one
 *   parent may have two owners;
 * - the token server of a public registry from the table above;
 * - the `token_host` of the registry in the configuration.
 *
 * It must be https, or http on the host of a registry that is itself configured with http.
 * @throws RegistryError for any other address, with the line to add to the configuration
 */
export const tokenRealm = (text: string, registry: TokenRealmOf): URL => {
  const realm = URL.canParse(text) ? new URL(text) : undefined
  const refuse = (reason: string): never => {
    throw new RegistryError(`${registry.url.host} refers to a token server at ${reason}`)
  }
  if (!realm || !['http:', 'https:'].includes(realm.protocol) || !isHost(realm.host)) {
    return refuse('an address that is not an http or https address')
  }
  if (realm.username !== '' || realm.password !== '') return refuse('an address that contains credentials')
  if (realm.protocol === 'http:' && !isPlainAsTheRegistry(realm, registry.url)) {
    return refuse(`${realm.host}, an address that is not https`)
  }
  if (!isSameSite(realm, registry.url) && !isKnown(realm, registry)) {
    return refuse(
      `${realm.host}, another site, which gets no credentials. If that is its token server, add to the configuration: ` +
        `registries: { "${registry.name}": { token_host: "${realm.host}" } }`,
    )
  }
  return realm
}

const isPlainAsTheRegistry = (realm: URL, url: URL): boolean =>
  url.protocol === 'http:' && (realm.hostname === url.hostname || (isLoopback(realm) && isLoopback(url)))

const isSameSite = (realm: URL, url: URL): boolean => {
  if (realm.hostname === url.hostname) return !isLoopback(url) || realm.port === url.port
  return isBelow(url.hostname, realm.hostname) || isBelow(realm.hostname, url.hostname)
}

/** Whether a name is below a domain. A name of one label, such as `com` or `localhost`, does not belong to one owner. */
const isBelow = (name: string, domain: string): boolean =>
  /^[^.]+(\.[^.]+)+$/.test(domain) && !IP_ADDRESS.test(domain) && name.endsWith(`.${domain}`)

const isKnown = (realm: URL, { url, tokenHost }: TokenRealmOf): boolean =>
  (realm.protocol === 'https:' && KNOWN_TOKEN_HOSTS.get(url.host) === realm.host) ||
  (tokenHost !== undefined && new URL(`${realm.protocol}//${tokenHost}`).host === realm.host)

/** Matches the host of a URL: an IPv4 address ends in a number, and an IPv6 address is in brackets. */
const IP_ADDRESS = /^\[|\.\d+$/
const isLoopback = ({ hostname }: URL): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
