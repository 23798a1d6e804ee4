import { addressBeforePort } from '../client-address.js'
import { percentDecoded } from '../../runtime/percent-decoded.js'
import { TimeZoneMissing, type LogFormat, type LogLine } from './log-format.js'
import { OTHER, toRequest, unreadable } from './logged-line.js'
import { readLogTime } from './log-time.js'
import { withoutSyslogPrefix } from './syslog-prefix.js'
import { createZoneClock, type ReadClock } from './zone-clock.js'

const TIME = / \[(\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d\.\d{3})\] /
/** The five timers of an HTTP line; the lines of TCP connections have three. */
const TIMERS = /^(?:[+-]?\d+\/){4}[+-]?\d+$/
/** A product and its version at the beginning, as all clients of registries have it. */
const USER_AGENT = /^[A-Za-z][\w.+-]*\/v?\d/

type HttpLine = { client: string; time: string; status: string; bytes: string; captures: string; rest: string }

/** @returns undefined if the line is not about an HTTP request */
const splitHttpLine = (line: string): HttpLine | undefined => {
  const found = TIME.exec(line)
  if (found === null) return undefined
  const client = line.slice(line.lastIndexOf(' ', found.index - 1) + 1, found.index)
  const afterTime = line.slice(found.index + found[0].length)
  // HAProxy encodes the quotes in captured headers.
  const quote = afterTime.indexOf('"')
  const head = quote < 0 ? afterTime : afterTime.slice(0, quote)
  const [, , timers = '', status = '', bytes = ''] = head.split(' ', 5)
  if (!TIMERS.test(timers)) return undefined
  const brace = head.indexOf(' {')
  const captures = brace < 0 ? '' : head.slice(brace + 2)
  return { client, time: found[1] ?? '', status, bytes, captures, rest: quote < 0 ? '' : afterTime.slice(quote + 1) }
}

const readRequest = ({ client, time, status, bytes, captures, rest }: HttpLine, clock: ReadClock): LogLine => {
  const end = rest.indexOf('"')
  if (end < 0) return unreadable('the request has no closing quote')
  const request = decoded(rest.slice(0, end))
  if (request === '<BADREQ>') return OTHER
  const at = readLogTime(time, clock)
  const addresses = [addressBeforePort(client)]
  return toRequest(at, { addresses, request, status, bytes, userAgent: agentIn(captures) })
}

/** HAProxy writes `#` and two hex digits for a character that is not printable, and for a quote, a brace, a bar and a `#`. */
const decoded = (text: string): string =>
  text.includes('#')
    ? text.replace(/(?:#[0-9A-F]{2})+/g, (bytes) => percentDecoded(bytes.replaceAll('#', '%')) ?? bytes)
    : text

/**
 * The first captured header that has the form of a user agent. Captured headers have no names, and `captures` may also contain the
 * headers of the answer: `Host|User-Agent} {Server`.
 */
const agentIn = (captures: string): string | undefined => {
  const [headers = ''] = captures.split('}', 1)
  return headers
    .split('|')
    .map(decoded)
    .find((header) => USER_AGENT.test(header))
}

/**
 * HAProxy's `option httplog` (HAProxy's configuration manual, "HTTP log format"), with or without a prefix of syslog, and with
 * further fields after the request, as `option httpslog` has them. The time is that of the accept, in the zone of the machine. Bytes
 * include the headers of the answer.
 */
export const haproxy: LogFormat = {
  name: 'haproxy',
  title: 'HAProxy, option httplog',
  recognizes: (line) => {
    // Docker and Kubernetes wrap lines that have the same parts.
    const message = withoutSyslogPrefix(line) ?? line
    const http = splitHttpLine(` ${message}`)
    if (http === undefined || !http.rest.includes('"') || !message.startsWith(http.client)) return false
    return addressBeforePort(http.client) !== undefined && readLogTime(http.time, (shown) => shown) !== undefined
  },
  createReader: ({ timeZone }) => {
    if (timeZone === undefined) {
      throw new TimeZoneMissing(
        "the times in HAProxy's log have no time zone; give the zone of HAProxy's machine with --tz, for example --tz Europe/Berlin",
      )
    }
    const clock = createZoneClock(timeZone)
    return (line) => {
      const http = splitHttpLine(` ${line}`)
      if (http !== undefined) return readRequest(http, clock)
      return line.includes('"') ? unreadable('the line has no accept time and no five timers') : OTHER
    }
  },
}
