import { parseTimestamp } from '../../events/calendar.js'
import { methodOfOperation } from './azure-operation.js'
import type { LogFormat, ReadLine } from './log-format.js'
import { NO_TARGET, OTHER, toObjectRequest, unreadable } from './logged-line.js'

const BEGINNING = /^[12]\.0;\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z;[A-Za-z]{1,64};/
/** The fields of version 1.0. Version 2.0 adds fields at the end. */
const MOST_FIELDS = 30

const readLine: ReadLine = (line) => {
  if (line === '') return OTHER
  if (!BEGINNING.test(line))
    return unreadable('the line does not begin with version 1.0 or 2.0, a time and an operation')
  const fields = fieldsOf(line)
  const [, time = '', operation = '', , status] = fields
  const [service, , key = '', id, count, address = ''] = fields.slice(10)
  if (service === undefined || address === '') return unreadable('the line has no service and no address of the client')
  const [, , bucket = '', ...path] = key.split('/')
  if (service !== 'blob' || bucket === '') return OTHER
  return toObjectRequest(parseTimestamp(time), {
    addresses: [address],
    userAgent: fields[27],
    request: { method: methodOfOperation(operation), target: NO_TARGET },
    status,
    bytes: fields[20],
    requestId: count === '0' ? id : undefined,
    bucket,
    object: path.join('/'),
    operation,
    referer: fields[28],
  })
}

/** Splits a line at semicolons. A field in quotes may contain semicolons, and ends at a quote before a semicolon or the end. */
const fieldsOf = (line: string): string[] => {
  const fields: string[] = []
  let start = 0
  while (start <= line.length && fields.length < MOST_FIELDS) {
    const isQuoted = line[start] === '"'
    const found = isQuoted ? line.indexOf('";', start + 1) : line.indexOf(';', start)
    // The last field ends with the line, with its quote or cut before it.
    const end = found >= 0 ? found : isQuoted && line.endsWith('"') ? Math.max(start + 1, line.length - 1) : line.length
    fields.push(isQuoted ? withoutEntities(line.slice(start + 1, end)) : line.slice(start, end))
    start = end + (isQuoted ? 2 : 1)
  }
  return fields
}

const NAMED: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
])
const ENTITY = /&(amp|lt|gt|quot|apos|#\d{1,5}|#x[0-9a-f]{1,4});/gi

const withoutEntities = (text: string): string =>
  text.replace(ENTITY, (_, name: string) => {
    const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
    return name.startsWith('#') ? String.fromCharCode(code) : (NAMED.get(name.toLowerCase()) ?? name)
  })

/**
 * The classic log of Azure Storage in the container `$logs` (Azure Storage REST API, "Storage Analytics log format", versions 1.0 and
 * 2.0). `bucket` is the container. The time is that of the request. The account of the requester is not read: for a signed URL it is
 * the registry's. Operations on an account, and on its tables and queues, are other lines.
 */
export const azureStorage: LogFormat = {
  name: 'azure-storage',
  title: 'Azure Storage, classic $logs',
  recognizes: (line) => BEGINNING.test(line) && readLine(line).kind !== 'unreadable',
  createReader: () => readLine,
}
