import type { Micros } from '../../events/calendar.js'
import { checkedTime, type TimeReading } from './json-time.js'
import type { LoggedObjectRequest, LoggedRequest, LogLine, OtherLine, UnreadableLine } from './log-format.js'
import {
  bytesIn,
  firstAddressIn,
  isGiven,
  mediaTypeIn,
  nameIn,
  refererIn,
  statusIn,
  textIn,
  userAgentIn,
} from './logged-values.js'
import { readRequestLine, toRequestLine, type RequestFault, type RequestLine } from './request-line.js'

/** The unchecked values of one line. A value that the log does not contain is missing, null, "" or "-". */
type LoggedValues = {
  /** The request line without quotes and escapes, or its parts. */
  request: string | { method: unknown; target: unknown }
  /** In order of preference. The first valid one is the address. */
  addresses?: readonly unknown[]
  userAgent?: unknown
  user?: unknown
  status: unknown
  bytes?: unknown
  requestId?: unknown
}
export type RequestValues = LoggedValues & { host?: unknown; mediaType?: unknown }
export type ObjectValues = LoggedValues & {
  bucket: unknown
  /** The decoded name. */
  object: string | undefined
  operation: unknown
  referer?: unknown
}

/** For a log without request lines: the target of a request to an object is not used. */
export const NO_TARGET = '*'

export const OTHER: OtherLine = { kind: 'other' }

/** @param detail contains no value of the line */
export const unreadable = (detail: string): UnreadableLine => ({ kind: 'unreadable', detail })

/**
 * Checks the values of a request to a registry. Time, request line and status are necessary; any other invalid value is left out.
 * Bytes that are no HTTP request, answered with 400, are no request.
 * @param at undefined if the time is invalid
 */
export const toRequest = (at: TimeReading | undefined, values: RequestValues): LogLine => {
  const read = readValues(at, values)
  if ('kind' in read) return read
  const request: LoggedRequest = { kind: 'request', ...read.fields, target: read.line.target }
  const host = textIn(values.host) ?? textIn(read.line.host)
  const mediaType = mediaTypeIn(values.mediaType)
  if (host !== undefined) request.host = host
  if (mediaType !== undefined) request.mediaType = mediaType
  return request
}

/** As toRequest, for a request to a bucket. The bucket and the operation are necessary, too. */
export const toObjectRequest = (at: TimeReading | undefined, values: ObjectValues): LogLine => {
  const read = readValues(at, values)
  if ('kind' in read) return read
  const bucket = textIn(values.bucket)
  const operation = textIn(values.operation)
  if (bucket === undefined) return unreadable('bucket is missing or not storable')
  if (operation === undefined) return unreadable('operation is missing or not storable')
  const request: LoggedObjectRequest = { kind: 'object', ...read.fields, bucket, operation }
  const referer = refererIn(values.referer)
  if (values.object !== undefined && isGiven(values.object)) request.object = values.object
  if (referer !== undefined) request.referer = referer
  return request
}

type Fields = Omit<LoggedRequest, 'kind' | 'target' | 'host' | 'mediaType'>

const readValues = (
  reading: TimeReading | undefined,
  values: LoggedValues,
): { fields: Fields; line: RequestLine } | OtherLine | UnreadableLine => {
  const at = typeof reading === 'string' ? reading : checkedTime(reading)
  if (typeof at === 'string') return unreadable(TIME_ERRORS[at])
  const { request } = values
  const line = typeof request === 'string' ? readRequestLine(request) : toRequestLine(request.method, request.target)
  const status = statusIn(values.status)
  if (line === 'none' || (typeof line === 'string' && status === 400)) return OTHER
  if (typeof line === 'string') return unreadable(REQUEST_ERRORS[line])
  if (status === undefined) {
    return unreadable(isGiven(values.status) ? 'status is not an HTTP status' : 'status is missing')
  }
  return { fields: toFields(at, line.method, status, values), line }
}

const toFields = (at: Micros, method: string, status: number, values: LoggedValues): Fields => {
  const fields: Fields = { at, method, status }
  const address = firstAddressIn(values.addresses ?? [])
  const userAgent = userAgentIn(values.userAgent)
  const user = nameIn(values.user)
  const bytes = bytesIn(values.bytes)
  const requestId = nameIn(values.requestId)
  if (address !== undefined) fields.address = address
  if (userAgent !== undefined) fields.userAgent = userAgent
  if (user !== undefined) fields.user = user
  if (bytes !== undefined) fields.bytes = bytes
  if (requestId !== undefined) fields.requestId = requestId
  return fields
}

const TIME_ERRORS: Record<Exclude<TimeReading, number>, string> = {
  missing: 'time is missing',
  invalid: 'time is not a time from 1970 to 2255',
  'zone-missing': 'time has no time zone: give the zone with --tz',
}

const REQUEST_ERRORS: Record<Exclude<RequestFault, 'none'>, string> = {
  form: 'the request is not a method in upper case, a target and a protocol',
  'method-missing': 'method is missing',
  method: 'method is not upper case letters',
  'target-missing': 'target is missing',
  target: 'target is not a path',
}
