import { MICROS_PER_SECOND } from '../../events/calendar.js'
import type { ScanLine } from './line-parts.js'
import { readLogTime } from './log-time.js'
import { digitsIn, NO_DIGITS } from './scan-digits.js'

const [SPACE, QUOTE, BACKSLASH, OPEN, CLOSE, DASH] = [0x20, 0x22, 0x5c, 0x5b, 0x5d, 0x2d]
/** `[03/Mar/2025:00:00:00 +0000] ` */
const TIME_LENGTH = 29
/** Where the seconds begin and end in it. */
const [SECONDS, AFTER_SECONDS] = [19, 21]
const STATUS_LENGTH = 3

/**
 * Scans lines of the combined log:
 * `203.0.113.7 - alice [03/Mar/2025:00:00:00 +0000] "GET /v2/app/manifests/1 HTTP/1.1" 200 1024 "-" "containerd/2.0"`.
 */
export const createCombinedScan = (): ScanLine => {
  const minuteOf = createMinutes()
  return (bytes, start, end, parts) => {
    const quote = quoteAfter(bytes, start, end)
    const time = quote - TIME_LENGTH
    if (quote < 0 || time <= start || !isHead(bytes, start, time)) return false
    const minute = minuteOf(bytes, time)
    const seconds = digitsIn(bytes, time + SECONDS, time + AFTER_SECONDS)
    if (minute < 0 || seconds < 0 || seconds > 59) return false

    const requestEnd = quoteAfter(bytes, quote + 1, end)
    const statusEnd = requestEnd + 2 + STATUS_LENGTH
    if (requestEnd < 0 || statusEnd >= end || bytes[requestEnd + 1] !== SPACE || bytes[statusEnd] !== SPACE)
      return false
    if (digitsIn(bytes, requestEnd + 2, statusEnd) < 0) return false
    const size = statusEnd + 1
    let sizeEnd = size
    while (sizeEnd < end && bytes[sizeEnd] !== SPACE) sizeEnd++
    const count = digitsIn(bytes, size, sizeEnd)
    if (count < 0 && !(sizeEnd === size + 1 && bytes[size] === DASH)) return false

    const agent = agentIn(bytes, sizeEnd, end)
    if (agent < 0) return false
    parts.at = minute + seconds * MICROS_PER_SECOND
    parts.bytes = count < 0 ? NaN : count
    parts.what = [quote + 1, requestEnd, requestEnd + 2, statusEnd]
    parts.who = [start, time, agent, agent === end ? end : quoteAfter(bytes, agent, end)]
    return true
  }
}

/** The position of the next quote; -1 if there is none, or if it follows a backslash, which may be its escape. */
const quoteAfter = (bytes: Uint8Array, start: number, end: number): number => {
  let at = start
  while (at < end && bytes[at] !== QUOTE) at++
  return at < end && (at === start || bytes[at - 1] !== BACKSLASH) ? at : -1
}

/** Whether the part before the time is an address, a dash and a user. */
const isHead = (bytes: Uint8Array, start: number, end: number): boolean => {
  let space = start
  while (space < end && bytes[space] !== SPACE) space++
  const isAddress = space > start && bytes[start] !== OPEN
  return isAddress && bytes[space + 1] === DASH && bytes[space + 2] === SPACE && bytes[end - 1] === SPACE
}

/**
 * The position of the user agent: the second of two fields in quotes.
 * @returns `end` if there is none, and -1 if the fields have another form
 */
const agentIn = (bytes: Uint8Array, sizeEnd: number, end: number): number => {
  if (sizeEnd === end) return end
  const referer = sizeEnd + 2
  if (referer > end || bytes[sizeEnd + 1] !== QUOTE) return -1
  const refererEnd = quoteAfter(bytes, referer, end)
  const agent = refererEnd + 3
  if (refererEnd < 0 || agent > end || bytes[refererEnd + 1] !== SPACE || bytes[refererEnd + 2] !== QUOTE) return -1
  const agentEnd = quoteAfter(bytes, agent, end)
  if (agentEnd < 0) return -1
  return agentEnd + 1 === end || bytes[agentEnd + 1] === SPACE ? agent : -1
}

/** Reads the minute of a time and its offset; most lines have the same as the line before. -1 if it is no time. */
const createMinutes = (): ((bytes: Uint8Array, time: number) => number) => {
  const last = new Uint8Array(TIME_LENGTH)
  let minute = NO_DIGITS
  return (bytes, time) => {
    let isSame = minute >= 0
    for (let i = 0; isSame && i < TIME_LENGTH; i++) {
      isSame = bytes[time + i] === last[i] || (i >= SECONDS && i < AFTER_SECONDS)
    }
    if (isSame) return minute
    minute = NO_DIGITS
    last.set(bytes.subarray(time, time + TIME_LENGTH))
    if (bytes[time] !== OPEN || bytes[time + TIME_LENGTH - 2] !== CLOSE || bytes[time + TIME_LENGTH - 1] !== SPACE) {
      return NO_DIGITS
    }
    const text = Buffer.from(last).toString('latin1', 1, TIME_LENGTH - 2)
    const at = readLogTime(`${text.slice(0, SECONDS - 1)}00${text.slice(AFTER_SECONDS - 1)}`)
    if (at !== undefined && at >= 0) minute = at
    return minute
  }
}
