import type { Micros } from '../events/calendar.js'
import type { Requester } from '../events/registry-request.js'
import { classify } from '../sources/access-logs/classify.js'
import type { LineClass } from '../sources/access-logs/line-class.js'
import type { LogFormat, ReaderOptions } from '../sources/access-logs/log-format.js'
import type { LoggedRead } from '../sources/access-logs/logged-read.js'
import { createUnwrap, type Wrapper } from '../sources/access-logs/unwrap.js'

/** What a line is counted as. */
export type LineName = LineClass | 'no_request' | 'unreadable'

/** What a line is. */
export type Outcome = {
  name: LineName
  /** Only for a request to read. */
  read?: LoggedRead
  /** Only for a request. */
  requester?: Requester
}

/** @returns undefined if the next line continues this one */
export type ReadText = (line: string) => Outcome | undefined
export type ReadBytes = (bytes: Buffer, start: number, end: number) => LineName | undefined

/** Takes the requests of lines. */
export type OnRequest<What, Who> = {
  what: (read: LoggedRead) => What | undefined
  who: (requester: Requester) => Who
  onRequest: (what: What | undefined, who: Who | undefined, at: Micros, bytes: number | undefined) => void
}

/** Hands on the request of a line that was read as text. */
export const handOn = <What, Who>(
  outcome: Outcome | undefined,
  { what, who, onRequest }: OnRequest<What, Who>,
): LineName | undefined => {
  const read = outcome?.read
  if (read) {
    const requested = what(read)
    onRequest(requested, requested && who(read), read.at, read.bytes)
  }
  return outcome?.name
}

const NO_REQUEST: Outcome = { name: 'no_request' }
const UNREADABLE: Outcome = { name: 'unreadable' }

/** Reads lines as texts. */
export const createTextReader = (format: LogFormat, wrapper: Wrapper | undefined, options: ReaderOptions): ReadText => {
  const readLine = format.createReader(options)
  const unwrap = wrapper === undefined ? (line: string) => line : createUnwrap(wrapper)
  return (text) => {
    const line = unwrap(text)
    if (line === undefined) return undefined
    const read = readLine(line)
    if (read.kind === 'other') return NO_REQUEST
    if (read.kind === 'unreadable') return UNREADABLE
    const classified = classify(read, options.notAfter)
    return { name: classified.class, requester: read, ...('method' in classified && { read: classified }) }
  }
}
