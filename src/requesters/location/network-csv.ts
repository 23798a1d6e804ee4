import { parse } from 'csv-parse/sync'
import ipaddr from 'ipaddr.js'

/** The autonomous system of an address, and the kind of its network: cloud, isp, business, education. */
export type Network = { network: string; networkKind?: string }

type Ranges<Bound> = { starts: Bound[]; ends: Bound[]; networks: Network[] }

/**
 * Reads a CSV file with ranges of addresses, without a heading. Each line has the first address, the last address, the number of
 * the autonomous system, its organisation, and optionally the kind of network. Ranges of one file do not overlap.
 * @throws Error that names the first invalid line
 */
export const networksInCsv = (text: string): ((address: string) => Network | undefined) => {
  const known = new Map<string, Network>()
  const ranges: [bigint, bigint, Network][] = []
  let line = 0
  for (const [first = '', last = '', number = '', name = '', kind = ''] of parse(text, {
    relax_column_count: true,
    skip_empty_lines: true,
    record_delimiter: ['\r\n', '\n'],
  })) {
    line++
    if (!ipaddr.isValid(first) || !ipaddr.isValid(last) || !/^\d+$/.test(number)) {
      throw new Error(`line ${line} is not "first address,last address,number,organisation[,kind]"`)
    }
    const key = `${number} ${kind}`
    const network = known.get(key) ?? {
      network: networkNamed(number, name),
      ...(kind !== '' && { networkKind: kindNamed(kind) }),
    }
    known.set(key, network)
    ranges.push([keyOf(first), keyOf(last), network])
  }
  ranges.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const sorted: Ranges<bigint> = {
    starts: ranges.map(([start]) => start),
    ends: ranges.map(([, end]) => end),
    networks: ranges.map(([, , network]) => network),
  }
  return (address) => find(sorted, keyOf(address))
}

/** As AS15169 Google LLC. */
export const networkNamed = (number: number | string, name: string): string =>
  `AS${number} ${name}`.trim().slice(0, LONGEST)

/** The kind of a network in lower case, because files of different providers differ in case. */
export const kindNamed = (kind: string): string => kind.toLowerCase().slice(0, LONGEST)

const LONGEST = 128

/** A sort key for both families: an IPv4 address is sorted as its IPv4-mapped IPv6 address. */
const keyOf = (address: string): bigint => {
  const parsed = ipaddr.process(address)
  const bytes = parsed.kind() === 'ipv4' ? [...V4_PREFIX, ...parsed.toByteArray()] : parsed.toByteArray()
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

const V4_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]

const find = ({ starts, ends, networks }: Ranges<bigint>, key: bigint): Network | undefined => {
  let [low, high] = [0, starts.length - 1]
  while (low <= high) {
    const middle = (low + high) >> 1
    if ((starts[middle] ?? 0n) > key) high = middle - 1
    else if ((ends[middle] ?? 0n) < key) low = middle + 1
    else return networks[middle]
  }
  return undefined
}
