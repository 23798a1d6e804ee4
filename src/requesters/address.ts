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

/**
 * The address of the client behind proxies. Each proxy appends the address from which it got the request to `X-Forwarded-For`. So
 * the last address that is not a trusted proxy is the client's. The client may have invented all addresses before it.
 */
export const clientAddress = (
  peer: string,
  forwardedFor: string | undefined,
  isTrusted: (address: string) => boolean,
): string => {
  const chain = [...(forwardedFor ?? '').split(',').slice(-MOST_PROXIES), peer].map((one) => one.trim())
  let client = peer
  for (let i = chain.length - 1; i >= 0; i--) {
    const address = chain[i] ?? ''
    if (!ipaddr.isValid(address)) return client
    client = address
    if (!isTrusted(address)) return client
  }
  return client
}

const MOST_PROXIES = 64

/**
 * Creates a test for trusted addresses.
 * @param networks for example 10.0.0.0/8; an address without a prefix length is a network of one address
 * @throws Error that names a text which is no network
 */
export const trustIn = (networks: readonly string[]): ((address: string) => boolean) => {
  const ranges = networks.map((network) => {
    const range = network.includes('/') ? network : `${network}/${network.includes(':') ? 128 : 32}`
    if (!ipaddr.isValidCIDR(range)) throw new Error(`"${network}" is not a network, expected one like 10.0.0.0/8`)
    return ipaddr.parseCIDR(range)
  })
  return (address) => {
    const parsed = ipaddr.process(address)
    return ranges.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits))
  }
}
