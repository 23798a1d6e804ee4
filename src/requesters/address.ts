import ipaddr from 'ipaddr.js'

/** How many leading bits of an address distinguish clients. */
export type Prefixes = { ipv4: number; ipv6: number }

/** A home or a machine gets a whole IPv6 /64, and changes the other bits from day to day. */
export const PREFIXES: Prefixes = { ipv4: 32, ipv6: 64 }

/**
 * The network of an address, as a text with its bytes: all addresses of one network have the same text. An IPv4-mapped IPv6
 * address counts as its IPv4 address.
 * @returns undefined if the text is no address
 */
export const networkOf = (address: string, prefixes: Prefixes): string | undefined => {
  if (!ipaddr.isValid(address)) return undefined
  const parsed = ipaddr.process(address)
  const bits = parsed.kind() === 'ipv4' ? prefixes.ipv4 : prefixes.ipv6
  const bytes = parsed.toByteArray()
  const kept = bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))))
  return `${parsed.kind()} ${kept.join('.')}`
}
