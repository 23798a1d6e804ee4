import { UserError } from '../../runtime/user-error.js'
import type { LogFormat, LogLine, ReadLine } from './log-format.js'
import { createCloudStorageScan } from './scan-cloud-storage.js'
import { NO_TARGET, OTHER, toObjectRequest, unreadable } from './logged-line.js'

const COLUMNS = [
  'time_micros',
  'c_ip',
  'c_ip_type',
  'c_ip_region',
  'cs_method',
  'cs_uri',
  'sc_status',
  'cs_bytes',
  'sc_bytes',
  'time_taken_micros',
  'cs_host',
  'cs_referer',
  'cs_user_agent',
  's_request_id',
  'cs_operation',
  'cs_bucket',
  'cs_object',
] as const

/** A file that was joined from several files has several headers. */
const HEADER_BEGINNING = '"time_micros"'
const RECORD_BEGINNING = /^"\d{1,16}","[^"]{0,100}","[12]?",/

/** The first line of a file is not the header of version 0. */
export class UnknownColumns extends UserError {
  override readonly kind = 'invalid'
}

/**
 * The usage log of Cloud Storage, version 0 (Cloud Storage's docs, "Usage logs & storage logs"): CSV, with each field in quotes. The
 * time is that of the answer. `cs_uri` is not read: it may contain the signature of a URL. `s_request_id` is not read: the rows of a
 * lifecycle batch have the same one.
 */
export const cloudStorage: LogFormat = {
  name: 'cloud-storage',
  title: 'Cloud Storage usage log',
  recognizes: (line) =>
    isHeader(splitQuoted(line)) || (RECORD_BEGINNING.test(line) && splitQuoted(line)?.length === COLUMNS.length),
  createScan: createCloudStorageScan,
  createReader: () => {
    let hasHeader = false
    return (line) => {
      if (line === '') return OTHER
      if (hasHeader && !line.startsWith(HEADER_BEGINNING)) return readRecord(line)
      checkHeader(line)
      hasHeader = true
      return OTHER
    }
  },
}

const isHeader = (names: readonly string[] | undefined): boolean =>
  names?.length === COLUMNS.length && COLUMNS.every((name, i) => names[i] === name)

/** @throws UnknownColumns */
const checkHeader = (line: string): void => {
  const names = splitQuoted(line) ?? []
  if (isHeader(names)) return
  const i = COLUMNS.findIndex((name, position) => names[position] !== name)
  const culprit =
    i === -1
      ? `there are ${names.length} columns instead of ${COLUMNS.length}`
      : `column ${i + 1} is ${nameOf(names[i])} instead of ${COLUMNS[i] ?? ''}`
  throw new UnknownColumns(
    `the first line is not the header of a Cloud Storage usage log of version 0: ${culprit}; import only files whose names contain _usage_ and end in _v0, each from its first line`,
  )
}

/** A line that is no header may contain an address. */
const nameOf = (text: string | undefined): string =>
  text !== undefined && /^[a-z_]{1,40}$/.test(text) ? text : 'no name of a column'

const readRecord: ReadLine = (line): LogLine => {
  const fields = splitQuoted(line)
  if (fields?.length !== COLUMNS.length) return unreadable(`the line is not ${COLUMNS.length} fields in quotes`)
  const [time = '', address, , , method, , status, , bytes, , , referer, userAgent, , operation, bucket, object] =
    fields
  return toObjectRequest(/^\d{1,16}$/.test(time) ? Number(time) : 'invalid', {
    addresses: [address],
    userAgent,
    request: { method, target: NO_TARGET },
    status,
    bytes,
    bucket,
    object,
    operation,
    referer,
  })
}

/**
 * Splits a line of CSV in which each field has quotes, and a quote within a field is doubled.
 * @returns undefined for any other line
 */
const splitQuoted = (line: string): string[] | undefined => {
  const fields: string[] = []
  const length = line.endsWith('\r') ? line.length - 1 : line.length
  let start = 0
  while (line[start] === '"') {
    const end = endOfField(line, start + 1)
    if (end < 0 || fields.length >= COLUMNS.length) return undefined
    const text = line.slice(start + 1, end)
    fields.push(text.includes('"') ? text.replaceAll('""', '"') : text)
    if (end + 1 === length) return fields
    if (line[end + 1] !== ',') return undefined
    start = end + 2
  }
  return undefined
}

/** The position of the first quote that is not doubled; -1 if there is none. */
const endOfField = (line: string, from: number): number => {
  for (let quote = line.indexOf('"', from); quote >= 0; quote = line.indexOf('"', quote + 2)) {
    if (line[quote + 1] !== '"') return quote
  }
  return -1
}
