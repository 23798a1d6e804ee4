import { addressOf } from '../client-address.js'
import { fieldsInLine } from './fields-in-line.js'
import { unescaped } from './unescaped.js'

/** The texts of a line of the combined log format, without escapes. */
type CombinedLine = CombinedHead & CombinedTail

type CombinedHead = {
  time: string
  addresses: readonly [string | undefined]
  user: string | undefined
  /** The virtual host, if the line begins with it. */
  host: string | undefined
}

type CombinedTail = {
  request: string
  status: string
  bytes: string | undefined
  userAgent: string | undefined
}

/**
 * Splits a line of the combined or common log format, or of a variant of it, into its texts.
 * @returns undefined if the line has another structure
 */
export const splitCombined = (line: string): CombinedLine | undefined => {
  const quote = requestStart(line)
  const head = quote < 0 ? undefined : splitHead(line.slice(0, quote).trimEnd())
  const tail = head && splitTail(line, quote)
  return tail && { ...head, ...tail }
}

/** The first quote is the beginning of the request, except that Apache writes `""` for the empty name of a user. */
const requestStart = (line: string): number => {
  const quote = line.indexOf('"')
  return line.startsWith('"" [', quote) ? line.indexOf('"', quote + 2) : quote
}

/** `[time]:address -`, as Harbor's nginx writes it in Kubernetes (goharbor/harbor-helm, issue 1098). */
const TIME_FIRST = /^\[([^\]]{1,40})\]:(\S{1,80}) -$/

/** Splits the part of a line before the request: `address identity user [time]`, and its variants. */
const splitHead = (head: string): CombinedHead | undefined => {
  const [, firstTime, firstAddress] = TIME_FIRST.exec(head) ?? []
  if (firstTime !== undefined && firstAddress !== undefined) {
    return { time: firstTime, addresses: [addressOf(firstAddress)], user: undefined, host: undefined }
  }
  // The name of a user may contain spaces and brackets, so the time is the last part.
  const open = head.lastIndexOf(' [')
  if (open < 0 || !head.endsWith(']')) return undefined
  const time = head.slice(open + 2, -1)
  const words = head.slice(0, open).split(' ')
  const hasHost = addressOf(words[1] ?? '') !== undefined
  const host = hasHost ? words.shift() : undefined
  const [client = '', identity, repeated = '', dash] = words
  const address = addressOf(client)
  if (identity === undefined || (address === undefined && identity !== '-')) return undefined
  // Old versions of ingress-nginx repeat the address: `address - [address] - user`.
  const isRepeated = dash === '-' && repeated.startsWith('[') && addressOf(repeated.slice(1, -1)) !== undefined
  const user = words.slice(isRepeated ? 4 : 2).join(' ')
  return { time, addresses: [address], user: user === '""' ? undefined : unescaped(user), host }
}

/**
 * Splits the part of a line from the request on: `"request" status bytes "referer" "user agent"`, and further fields. The referer
 * and the user agent are missing in the common log format.
 * @param from the index of the quote before the request
 * @returns undefined if the line has another structure
 */
export const splitTail = (line: string, from: number): CombinedTail | undefined => {
  const [request, status, bytes, , userAgent] = fieldsInLine(line, from, 5, 'escaped') ?? []
  if (request === undefined || status === undefined) return undefined
  return {
    request: unescaped(request.text),
    status: status.text,
    bytes: bytes?.text,
    userAgent: userAgent?.isQuoted === true ? unescaped(userAgent.text) : undefined,
  }
}
