import type { ScanLine } from './line-parts.js'
import { digitsIn, NO_DIGITS } from './scan-digits.js'

const [QUOTE, COMMA] = [0x22, 0x2c]
const FIELDS = 17
const FIELD = { time: 0, address: 1, method: 4, status: 6, bytes: 8, referer: 11, agent: 12, operation: 14, bucket: 15 }
const OBJECT = 16
const [GET, HEAD, HTTP] = [0x47, 0x48, 0x68]
const [FIRST_PRINTABLE, LAST_PRINTABLE] = [0x21, 0x7e]
const LONGEST_REFERER = 512

/** Scans records of the usage log of Cloud Storage: 17 fields in quotes, none of which contains a quote. */
export const createCloudStorageScan = (): ScanLine => {
  const starts = new Int32Array(FIELDS)
  const ends = new Int32Array(FIELDS)
  const split = (bytes: Uint8Array, start: number, end: number): boolean => {
    let at = start
    for (let field = 0; field < FIELDS; field++) {
      if (at >= end || bytes[at] !== QUOTE) return false
      let close = at + 1
      while (close < end && bytes[close] !== QUOTE) close++
      if (close >= end) return false
      starts[field] = at + 1
      ends[field] = close
      if (field < FIELDS - 1 && bytes[close + 1] !== COMMA) return false
      at = close + 2
    }
    return at - 1 === end
  }
  const range = (field: number): [number, number] => [starts[field]!, ends[field]!]
  return (bytes, start, end, parts) => {
    if (!split(bytes, start, end)) return false
    // Sixteen digits: microseconds since 2001.
    const seconds = digitsIn(bytes, starts[FIELD.time]!, ends[FIELD.time]! - 6)
    const micros = digitsIn(bytes, ends[FIELD.time]! - 6, ends[FIELD.time]!)
    if (seconds < 0 || micros < 0 || seconds >= 9e9) return false
    const [bytesStart, bytesEnd] = range(FIELD.bytes)
    const count = digitsIn(bytes, bytesStart, bytesEnd)
    if (count === NO_DIGITS && bytesEnd > bytesStart) return false
    parts.at = seconds * 1e6 + micros
    parts.bytes = count < 0 ? NaN : count
    parts.what = [
      ...range(FIELD.method),
      ...range(FIELD.status),
      ...range(FIELD.referer),
      ...range(FIELD.operation),
      ...range(FIELD.bucket),
      ...range(OBJECT),
    ]
    parts.who = [...range(FIELD.address), ...range(FIELD.agent)]
    // The client of a request without a referer tells whether the registry itself sent it, and that of a write whether a rule did.
    const method = bytes[starts[FIELD.method]!]
    const isRead = method === GET || method === HEAD
    if (!isRead || !isReferer(bytes, starts[FIELD.referer]!, ends[FIELD.referer]!))
      parts.what.push(...range(FIELD.agent))
    return true
  }
}

/** Whether a referer is certainly read as one. */
const isReferer = (bytes: Uint8Array, start: number, end: number): boolean => {
  if (bytes[start] !== HTTP || end <= start || end - start > LONGEST_REFERER) return false
  for (let i = start; i < end; i++) if (bytes[i]! < FIRST_PRINTABLE || bytes[i]! > LAST_PRINTABLE) return false
  return true
}
