import { fieldsInLine } from './fields-in-line.js'
import type { LogFormat, ReadLine } from './log-format.js'
import { OTHER, toObjectRequest, unreadable } from './logged-line.js'
import { presentText } from './logged-values.js'
import { readLogTime } from './log-time.js'
import { decodedObjectName } from './object-name.js'

const OPERATION = /^(?:REST|WEBSITE|SOAP|BATCH|S3)\.[A-Z0-9_.]{1,100}$/
/** Requests whose id no other line has. The two lines of a copy, and all lines of a batch, may have the same id. */
const ONE_LINE_OPERATION = /^(?:REST|WEBSITE|SOAP)\.(?!COPY\.)/
/** The fields up to the user agent. New ones are added at the end. */
const MOST_FIELDS = 17

const readLine: ReadLine = (line) => {
  if (line === '') return OTHER
  const fields = fieldsInLine(line, 0, MOST_FIELDS, 'raw')?.map(({ text }) => text) ?? []
  const [
    ,
    bucket = '',
    time = '',
    address = '',
    ,
    id,
    operation = '',
    key,
    request,
    status,
    ,
    bytes,
    ,
    ,
    ,
    referer,
    agent,
  ] = fields
  if (request === undefined || !OPERATION.test(operation)) {
    return unreadable('the line has no operation and request of a bucket')
  }
  // The list of all buckets of an account is about no bucket.
  if (presentText(bucket) === undefined) return OTHER
  return toObjectRequest(readLogTime(time), {
    addresses: [address],
    userAgent: agent,
    request,
    status,
    bytes,
    requestId: ONE_LINE_OPERATION.test(operation) ? id : undefined,
    bucket,
    object: key === undefined ? undefined : decodedObjectName(key),
    operation,
    referer,
  })
}

/**
 * Amazon S3's server access log (S3 user guide, "Amazon S3 server access log format"). The time is that of the request. The requester
 * is not read: for a signed URL it is the account that signed the URL, which is the registry's. Lines without an HTTP request, such
 * as those of lifecycle rules, are other lines.
 */
export const s3: LogFormat = {
  name: 's3',
  title: 'Amazon S3 server access log',
  recognizes: (line) => line !== '' && readLine(line).kind !== 'unreadable',
  createReader: () => readLine,
}
