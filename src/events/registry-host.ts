import { isIPv4, isIPv6 } from 'node:net'
import { UNKNOWN_REGISTRY } from './registry-event.js'

/** Longest accepted, in characters. */
const LONGEST_HOST = 255
/** A label of a host name. The standard allows no underscore within it, but the names in container networks have underscores. */
const LABEL = '[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?'
const HOST = new RegExp(`^(?:(${LABEL}(?:\\.${LABEL})*)|\\[([0-9a-f:.]+)\\])(?::([0-9]{1,5}))?$`, 'i')
/**
 * Only an IPv4 address ends in a number: the last label of a host name with several labels is never a number (RFC 1123, section
 * 2.1).
 */
const NUMBER_AT_END = /\.\d+$/
const HIGHEST_PORT = 65_535

/**
 * Whether a text is the host of a registry: a host name, an IPv4 address, or an IPv6 address in brackets, each with or without a
 * port (distribution/reference, "domain"; labels as in RFC 1123, section 2.1). The case of letters does not matter.
 */
export const isHost = (text: string): boolean => {
  if (text.length > LONGEST_HOST) return false
  const [, name, ipv6, port] = HOST.exec(text) ?? []
  if (port !== undefined && (Number(port) > HIGHEST_PORT || Number(port) === 0)) return false
  if (ipv6 !== undefined) return isIPv6(ipv6)
  return name !== undefined && (!NUMBER_AT_END.test(name) || isIPv4(name))
}

/** A host in lower case; undefined for any other text, and for the name that stands for a missing host. */
export const toHost = (text: string): string | undefined => {
  const host = text.toLowerCase()
  return isHost(host) && host !== UNKNOWN_REGISTRY ? host : undefined
}

/**
 * Whether a text can be the name of a registry with recorded data: a host, the name of a process without a readable host
 * (`unknown@…`), or a text that earlier versions accepted as a host. Only such names are looked up for a query.
 */
export const isRegistryName = (text: string): boolean => REGISTRY_NAME.test(text)

const REGISTRY_NAME = /^[a-z0-9._[\]:@-]{1,255}$/i
