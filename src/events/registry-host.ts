import { isIPv4, isIPv6 } from 'node:net'

/** Longest accepted, in characters. */
const LONGEST_HOST = 255
/** A label of a name; an underscore within it is no part of the standard, and of the names that container networks give. */
const LABEL = '[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?'
const HOST = new RegExp(`^(?:(${LABEL}(?:\\.${LABEL})*)|\\[([0-9a-f:.]+)\\])(?::([0-9]{1,5}))?$`, 'i')
/** Only an address ends so: the last label of a name that has several is no number (RFC 1123, section 2.1). */
const NUMBER_AT_END = /\.\d+$/
const HIGHEST_PORT = 65_535

/**
 * Whether a text is the host of a registry: a host name, an IPv4 address or an IPv6 address in brackets, each with a port or
 * without (distribution/reference, "domain"; labels as in RFC 1123, section 2.1). Names compare without case.
 */
export const isHost = (text: string): boolean => {
  if (text.length > LONGEST_HOST) return false
  const [, name, ipv6, port] = HOST.exec(text) ?? []
  if (port !== undefined && (Number(port) > HIGHEST_PORT || Number(port) === 0)) return false
  if (ipv6 !== undefined) return isIPv6(ipv6)
  return name !== undefined && (!NUMBER_AT_END.test(name) || isIPv4(name))
}

/**
 * Whether data may be recorded under a text as the name of a registry: a host, the name of a process whose host cannot be read
 * (`unknown@…`), or what earlier versions accepted as a host. Names in queries are looked up if they are so.
 */
export const isRegistryName = (text: string): boolean => REGISTRY_NAME.test(text)

const REGISTRY_NAME = /^[a-z0-9._[\]:@-]{1,255}$/i
