import { isIP } from 'node:net'

/**
 * The IP address in a text such as `203.0.113.7:41230`, `[2001:db8::1]:443` or `fe80::1%eth0`, without brackets, port and zone. The
 * zone of an IPv6 address (RFC 4007) is removed: it has a meaning only on the server's machine, and libraries accept different
 * zones.
 * @returns undefined if the text contains no address
 */
export const addressOf = (text: string): string | undefined => {
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(text) ?? []
  const [address = ''] = (bracketed ?? (isIP(text) === 0 ? text.replace(/:\d+$/, '') : text)).split('%', 1)
  return isIP(address) === 0 ? undefined : address
}

/**
 * The IP address before the last colon. Some servers write `address:port` without brackets, and then an IPv6 address such as
 * `2001:db8::1:4000` could be read with its port as a part of it.
 * @returns undefined if the text contains no port or no address
 */
export const addressBeforePort = (text: string): string | undefined =>
  addressOf(text.slice(0, Math.max(0, text.lastIndexOf(':'))))

/**
 * The first address of an X-Forwarded-For header, `203.0.113.7, 10.0.0.1`: the client's. A text with one address is such a list.
 * @returns undefined if the first entry is not an address
 */
export const firstAddressOf = (text: string): string | undefined => {
  const [first = ''] = text.split(',', 1)
  return addressOf(first.trim())
}
