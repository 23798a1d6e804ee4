import { parseTimestamp } from '../../events/calendar.js'
import { percentDecoded } from '../../runtime/percent-decoded.js'
import type { LogFormat, LogLine } from './log-format.js'
import { OTHER, toObjectRequest, toRequest, unreadable } from './logged-line.js'
import { presentText } from './logged-values.js'
import { decodedObjectName } from './object-name.js'

const FIELDS = '#Fields:'
const NEEDED = ['date', 'time', 'cs-method', 'cs-uri-stem', 'sc-status']
const RECORD = /^\d{4}-\d\d-\d\d\t\d\d:\d\d:\d\d\t[A-Z]{3}\d/

/** The columns of a log by their names. */
type Columns = ReadonlyMap<string, number>

const columnsOf = (header: string): Columns =>
  new Map(
    header
      .slice(FIELDS.length)
      .trim()
      .split(/\s/)
      .map((name, i) => [name, i]),
  )

const readRecord = (line: string, columns: Columns): LogLine => {
  const values = line.split('\t')
  const raw = (name: string): string | undefined => presentText(values[columns.get(name) ?? -1])
  const text = (name: string): string | undefined => decoded(raw(name))
  const path = text('cs-uri-stem')
  if (path === undefined) return unreadable('the line has no value of the field cs-uri-stem')
  const query = text('cs-uri-query')
  const target = query === undefined ? path : `${path}?${query}`
  const at = parseTimestamp(`${raw('date') ?? ''}T${raw('time') ?? ''}Z`)
  const common = {
    addresses: [raw('c-ip')],
    userAgent: decoded(text('cs(User-Agent)')),
    request: { method: raw('cs-method'), target },
    status: raw('sc-status'),
    bytes: raw('sc-bytes'),
    requestId: raw('x-edge-request-id'),
  }
  const host = raw('cs(Host)')
  if (path.startsWith('/v2/')) return toRequest(at, { ...common, host: raw('x-host-header') ?? host })
  if (host === undefined) return unreadable('the line has no value of the field cs(Host)')
  return toObjectRequest(at, {
    ...common,
    bucket: host,
    object: decodedObjectName(raw('cs-uri-stem')?.slice(1) ?? ''),
    operation: raw('cs-method'),
    referer: text('cs(Referer)'),
  })
}

const decoded = (text: string | undefined): string | undefined => text && (percentDecoded(text) ?? text)

/**
 * CloudFront's standard log (CloudFront developer guide, "Standard logging reference"). The `#Fields` line at the beginning of a file
 * decides the columns. A path that begins with /v2/ is a request to a registry; any other path is the name of an object. The log does
 * not contain the name of the bucket, so `bucket` is the domain of the distribution, and `operation` is the method. Logs encode a
 * user agent once or twice. The time is that of the answer; bytes include its headers.
 */
export const cloudfront: LogFormat = {
  name: 'cloudfront',
  title: 'Amazon CloudFront standard log',
  recognizes: (line) =>
    line === '#Version: 1.0' ||
    (line.startsWith(FIELDS) && columnsOf(line).has('x-edge-location')) ||
    RECORD.test(line),
  createReader: () => {
    let columns: Columns | undefined
    return (line) => {
      if (line.startsWith(FIELDS)) columns = columnsOf(line)
      if (line === '' || line.startsWith('#')) return OTHER
      if (columns === undefined) return unreadable('the log has no #Fields line before this line')
      const missing = NEEDED.find((name) => columns?.has(name) !== true)
      return missing === undefined ? readRecord(line, columns) : unreadable(`the #Fields line has no field ${missing}`)
    }
  },
}
