import type { Fields } from '../../events/json.js'
import { fieldsOf, readFields, type TimedValues } from './json-request-format.js'
import { readKeyValues } from './key-values.js'
import { createReadTime, type ReadTime } from './json-time.js'
import type { LogFormat, LogLine } from './log-format.js'
import { OTHER, toRequest, unreadable } from './logged-line.js'

/** The messages of which distribution writes exactly one for each request. */
const REQUEST_MESSAGES: readonly unknown[] = ['response completed', 'response completed with error']

/**
 * The application log of CNCF distribution (distribution's docs, "Configuring a registry", `log.formatter`): JSON, logstash's
 * JSON, or logrus' text, which begins with the time. The registry writes its access log to the same stream: such lines report the
 * same requests, so they are not read.
 */
export const distributionLog: LogFormat = {
  name: 'distribution-log',
  title: 'application log of CNCF distribution',
  recognizes: (line) => {
    const fields = isText(line) ? readKeyValues(line) : fieldsOf(line)
    return fields !== undefined && isRequest(fields)
  },
  createReader: ({ timeZone }) => {
    const readTime = createReadTime(timeZone)
    return (line) => {
      if (isText(line)) return readText(line, readTime)
      return isJson(line) ? readFields(line, (fields) => readMessage(fields, readTime)) : OTHER
    }
  },
}

const isJson = (line: string): boolean => line.trimStart().startsWith('{')
const isText = (line: string): boolean => line.startsWith('time=')

const readText = (line: string, readTime: ReadTime): LogLine => {
  const fields = readKeyValues(line)
  return fields ? readMessage(fields, readTime) : unreadable('the line is not a list of key=value')
}

const readMessage = (fields: Fields, readTime: ReadTime): LogLine => {
  if (!isRequest(fields)) return OTHER
  const values = valuesOf(fields)
  return toRequest(readTime(values.time), values)
}

const isRequest = ({ msg, message }: Fields): boolean => REQUEST_MESSAGES.includes(msg ?? message)

/** The remote address is the first X-Forwarded-For address, or else X-Real-IP, or else the peer with its port. */
const valuesOf = (fields: Fields): TimedValues => ({
  time: fields.time ?? fields['@timestamp'],
  addresses: [fields['http.request.remoteaddr']],
  userAgent: fields['http.request.useragent'],
  user: fields['auth.user.name'],
  request: { method: fields['http.request.method'], target: fields['http.request.uri'] },
  host: fields['http.request.host'],
  status: fields['http.response.status'],
  bytes: fields['http.response.written'],
  mediaType: fields['http.response.contenttype'],
  requestId: fields['http.request.id'],
})
