import type { Micros } from '../../events/calendar.js'
import { UserError } from '../../runtime/user-error.js'
import type { ScanLine } from './line-parts.js'

/** The fields that the lines of all formats have in common. A field that the log does not contain is missing. */
type LoggedFields = {
  at: Micros
  /** IP address, without port and zone. */
  address?: string
  userAgent?: string
  /** The name of a signed-in user. */
  user?: string
  /** In upper case. */
  method: string
  status: number
  /** Bytes of the answer's body, as the log reports them. */
  bytes?: number
  /** The server's id of the request, if no two requests have the same. */
  requestId?: string
}

/** A request to a registry, or to a proxy in front of it. */
export type LoggedRequest = LoggedFields & {
  kind: 'request'
  /** Path and query as the client sent them, without scheme and host. */
  target: string
  /** The host (and port) that the client addressed, as the log has it. */
  host?: string
  mediaType?: string
}

/** A request to the bucket in which a registry stores its blobs. */
export type LoggedObjectRequest = LoggedFields & {
  kind: 'object'
  bucket: string
  /** The decoded name of the object; missing for operations on the bucket. */
  object?: string
  /** What the store calls the operation. */
  operation: string
  /** The Referer header: the registry's URL of a blob if its client was redirected. */
  referer?: string
}

/** A line that contains no request: a header, or a message about something else. */
export type OtherLine = { kind: 'other' }

/** A line that should contain a request, but does not. */
export type UnreadableLine = {
  kind: 'unreadable'
  /** The field and its error. It contains no value of the line. */
  detail: string
}

export type LogLine = LoggedRequest | LoggedObjectRequest | OtherLine | UnreadableLine

/** What a reader needs to know that the lines do not tell. */
export type ReaderOptions = {
  /** The IANA time zone of times that have none. */
  timeZone?: string
  /** A moment that is not before any line: times without a year are in the year before it. */
  notAfter: Micros
  /** For JSON logs of which the site chose the names: the names by field. */
  fields?: Readonly<Partial<Record<NamedField, string>>>
}

/** The fields of JSON logs that a site may name. */
export type NamedField =
  'time' | 'address' | 'userAgent' | 'user' | 'method' | 'target' | 'host' | 'status' | 'bytes' | 'requestId'

/** Reads one line without its line end. A pure function of the lines before, of which only headers have an effect. */
export type ReadLine = (line: string) => LogLine

/** A format of access logs. */
export type LogFormat = {
  /** The name in `--format`: lower case, words joined by hyphens. */
  name: string
  /** What writes such logs, in a few words. */
  title: string
  /** Whether a line of a file can be of this format. Lines that are of no known format do not count. */
  recognizes: (line: string) => boolean
  /** @throws TimeZoneMissing if the times of the format have no zone and the options have none */
  createReader: (options: ReaderOptions) => ReadLine
  /** For formats of which files are large. Only lines after the first request of a file are scanned. */
  createScan?: () => ScanLine
}

/** The times of the log have no zone, and none was given. */
export class TimeZoneMissing extends UserError {
  override readonly kind = 'invalid'
}
