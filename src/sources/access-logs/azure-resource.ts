import type { Fields } from '../../events/json.js'
import { percentDecoded } from '../../runtime/percent-decoded.js'
import { methodOfOperation } from './azure-operation.js'
import { fieldsIn, fieldsOf, readFields } from './json-request-format.js'
import { createReadTime, type ReadTime } from './json-time.js'
import type { LogFormat, LogLine } from './log-format.js'
import { NO_TARGET, OTHER, toObjectRequest, unreadable } from './logged-line.js'
import { textIn } from './logged-values.js'
import { splitUrl } from './request-line.js'

/**
 * Resource logs of Azure Blob Storage as JSON lines, as a diagnostic setting writes them to a storage account (Azure's docs,
 * "Azure Blob Storage monitoring data reference"), or as an export of the table StorageBlobLogs, in which the names begin with
 * upper case letters.
 */
export const azureResource: LogFormat = {
  name: 'azure-resource',
  title: 'resource logs of Azure Blob Storage (StorageBlobLogs)',
  recognizes: (line) => {
    const fields = fieldsOf(line)
    return fields !== undefined && isBlobRequest(fields)
  },
  createReader: ({ timeZone }) => {
    const readTime = createReadTime(timeZone)
    return (line) => readFields(line, (fields) => (isBlobRequest(fields) ? read(fields, readTime) : OTHER))
  },
}

const CATEGORIES: readonly unknown[] = ['StorageRead', 'StorageWrite', 'StorageDelete']

const isBlobRequest = (fields: Fields): boolean =>
  CATEGORIES.includes(valueOf(fields, 'category')) && valueOf(fields, 'serviceType') === 'blob'

/** A value at the top, among the properties, or in a column of the table. */
const valueOf = (fields: Fields, name: string): unknown =>
  fields[name] ?? fieldsIn(fields.properties)[name] ?? fields[`${name.charAt(0).toUpperCase()}${name.slice(1)}`]

const read = (fields: Fields, readTime: ReadTime): LogLine => {
  const operation = textIn(valueOf(fields, 'operationName'))
  if (operation === undefined) return unreadable('operationName is missing')
  const uri = valueOf(fields, 'uri')
  const url = typeof uri === 'string' ? splitUrl(uri) : undefined
  if (url === undefined) return unreadable('uri is not a URL')
  const names = namesIn(url.target)
  if (names === undefined) return unreadable('uri is not percent-encoded UTF-8')
  // Such an operation is on the account, for example a list of its containers.
  if (names.bucket === '') return OTHER
  return toObjectRequest(readTime(fields.time ?? fields.TimeGenerated), {
    ...names,
    addresses: [valueOf(fields, 'callerIpAddress')],
    userAgent: valueOf(fields, 'userAgentHeader'),
    request: { method: methodOfOperation(operation), target: NO_TARGET },
    operation,
    status: valueOf(fields, 'statusCode'),
    bytes: valueOf(fields, 'responseBodySize'),
    requestId: isFirstOperation(fields) ? valueOf(fields, 'correlationId') : undefined,
    referer: valueOf(fields, 'referrerHeader'),
  })
}

/** All operations of one request have the same correlation id, and are counted from 0. */
const isFirstOperation = (fields: Fields): boolean => {
  const count = valueOf(fields, 'operationCount')
  return count === undefined || Number(count) === 0
}

/** A path is `/<container>/<blob>`, percent-encoded. */
const namesIn = (path: string): { bucket: string; object: string | undefined } | undefined => {
  const [encoded = ''] = path.slice(1).split(/[?#]/, 1)
  const decoded = percentDecoded(encoded)
  if (decoded === undefined) return undefined
  const slash = decoded.indexOf('/')
  if (slash === -1) return { bucket: decoded, object: undefined }
  return { bucket: decoded.slice(0, slash), object: decoded.slice(slash + 1) || undefined }
}
