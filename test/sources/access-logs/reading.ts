import { readFileSync } from 'node:fs'
import { parseTimestamp, type Micros } from '../../../src/events/calendar.js'
import type { LogFormat, LogLine, ReaderOptions } from '../../../src/sources/access-logs/log-format.js'
import { LOG_FORMATS } from '../../../src/sources/access-logs/log-formats.js'

/** The lines of test/fixtures/access-logs/<name>.log: lines of real servers, or of the same shape. */
export const fixtureLines = (name: string): string[] =>
  readFileSync(new URL(`../../fixtures/access-logs/${name}.log`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')

export const linesOf = ({ name }: Pick<LogFormat, 'name'>): string[] => fixtureLines(name)

/** The moment of an RFC 3339 time. */
export const at = (time: string): Micros => {
  const micros = parseTimestamp(time)
  if (micros === undefined) throw new Error(`${time} is not an RFC 3339 time`)
  return micros
}

export const NOT_AFTER = at('2026-11-30T00:00:00Z')

/** For formats whose times have neither zone nor year. */
export const OPTIONS: ReaderOptions = { timeZone: 'UTC', notAfter: NOT_AFTER }

export const readLines = (format: LogFormat, lines: readonly string[], options = OPTIONS): LogLine[] => {
  const readLine = format.createReader(options)
  return lines.map((line) => readLine(line))
}

export const readFixture = (format: LogFormat, options = OPTIONS): LogLine[] =>
  readLines(format, linesOf(format), options)

/** Reads lines without a time zone, unless the options have one. */
export const readWith = (
  format: LogFormat,
  lines: readonly string[],
  options: Omit<ReaderOptions, 'notAfter'> = {},
): LogLine[] => readLines(format, lines, { notAfter: NOT_AFTER, ...options })

const isJson = (format: LogFormat): boolean => linesOf(format).some((line) => line.startsWith('{'))

/** The formats with JSON lines, in the order of LOG_FORMATS. */
export const JSON_FORMATS = LOG_FORMATS.filter((format) => isJson(format) && format.name !== 'combined')
export const TEXT_FORMATS = LOG_FORMATS.filter((format) => !JSON_FORMATS.includes(format))

/** What the readers say about unreadable lines: no value of a line. */
export const DETAILS = [
  'the line is not a JSON object',
  'the line is not a list of key=value',
  'the line does not begin with version 1.0 or 2.0, a time and an operation',
  'the line does not begin with a type, a time and a load balancer',
  'the line does not begin with [time] "request"',
  'the line has no service and no address of the client',
  'the line has no request',
  'the line has no four numbers and headers after the status',
  'the line has no operation and request of a bucket',
  'the line has no accept time and no five timers',
  'the line has no syslog prefix of the service proxy',
  'the line has no value of the field cs-uri-stem',
  'the line has no value of the field cs(Host)',
  'the log has no #Fields line before this line',
  ...['date', 'time', 'cs-method', 'cs-uri-stem', 'sc-status'].map((name) => `the #Fields line has no field ${name}`),
  'the line is not 17 fields in quotes',
  'the line is not of the form: address - user [time] "request" status bytes',
  'the line is not of the form: address - "request" status bytes',
  'the request has no closing quote',
  'the request is not a method in upper case, a target and a protocol',
  'time is missing',
  'time is not a time from 1970 to 2255',
  'time has no time zone: give the zone with --tz',
  'method is missing',
  'method is not upper case letters',
  'target is missing',
  'target is not a path',
  'status is missing',
  'status is not an HTTP status',
  'bucket is missing or not storable',
  'operation is missing or not storable',
  'operationName is missing',
  'uri is not a URL',
  'uri is not percent-encoded UTF-8',
]
