import { parseTimestamp } from '../../events/calendar.js'
import { fieldsInLine, type Field } from './fields-in-line.js'
import type { LogFormat, ReadLine } from './log-format.js'
import { OTHER, toRequest, unreadable } from './logged-line.js'
import { presentText } from './logged-values.js'
import { isServerMessage } from './server-message.js'

const TIME = /^\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z)\] "/
/** More fields than the formats of Envoy and Istio have: 12 and 21. */
const MOST_FIELDS = 32
const NUMBER = /^(?:\d+|-)$/

/** The fields of Envoy's format, from the bytes on. Their order is the same in all versions. */
type Numbered = { bytes: string; forwarded: string; userAgent: string; authority: string; remoteAddress: string }

/**
 * Finds the numbers `bytes received, bytes sent, duration, upstream duration`, which are before the quoted headers. Istio writes
 * reasons of errors before the numbers, a different number of them in each version.
 */
const findNumbers = (fields: readonly Field[]): Numbered | undefined => {
  const text = (i: number): string => fields[i]?.text ?? ''
  for (let i = 2; i + 6 < fields.length; i++) {
    const areNumbers = fields.slice(i, i + 4).every((field) => !field.isQuoted && NUMBER.test(field.text))
    if (areNumbers && text(i) !== '-' && text(i + 1) !== '-' && fields[i + 4]?.isQuoted === true) {
      return {
        bytes: text(i + 1),
        forwarded: text(i + 4),
        userAgent: text(i + 5),
        authority: text(i + 7),
        remoteAddress: text(i + 12),
      }
    }
  }
  return undefined
}

const readLine: ReadLine = (line) => {
  const [beginning, time = ''] = TIME.exec(line) ?? []
  if (beginning === undefined)
    return isServerMessage(line) ? OTHER : unreadable('the line does not begin with [time] "request"')
  const fields = fieldsInLine(line, beginning.length - 1, MOST_FIELDS, 'raw') ?? []
  const [request, status] = fields
  const numbers = findNumbers(fields)
  if (request === undefined || numbers === undefined) {
    return unreadable('the line has no four numbers and headers after the status')
  }
  const { forwarded, remoteAddress, ...texts } = numbers
  return toRequest(parseTimestamp(time), {
    ...texts,
    request: request.text,
    status: status?.text,
    addresses: [presentText(forwarded) ?? remoteAddress],
    host: texts.authority,
  })
}

/**
 * Envoy's default access log as text (envoyproxy.io, "Access logging", "Default format string"), and Istio's, which has more fields
 * (istio.io, "Envoy Access Logs"). Envoy writes headers without escapes. The client is the first address in the X-Forwarded-For
 * header; without the header, Istio's downstream remote address. The id of the request is not read: a client may choose it, and each
 * proxy on the way logs it.
 */
export const envoy: LogFormat = {
  name: 'envoy',
  title: 'Envoy and Istio, text format',
  recognizes: (line) => TIME.test(line) && readLine(line).kind !== 'unreadable',
  createReader: () => readLine,
}
