import type { Micros } from '../events/calendar.js'
import type { Requester } from '../events/registry-request.js'
import { flatCopy } from '../runtime/flat-copy.js'
import type { LineParts, ScanLine } from '../sources/access-logs/line-parts.js'
import type { LoggedRead } from '../sources/access-logs/logged-read.js'
import { handOn, type LineName, type OnRequest, type ReadBytes, type ReadText } from './line-text.js'
import { createPartMemory } from './part-memory.js'

type ScannedReaderDeps<What, Who> = OnRequest<What, Who> & {
  scan: ScanLine
  readText: ReadText
  seed: number
  notAfter: Micros
}

/** What all lines with the same parts are. */
type Known<What> = { name: LineName; isRead: boolean; what: What | undefined; hasBytes: boolean }

const NOT_MODIFIED = 304

/**
 * Reads lines without making texts of them: it scans a line, and reads as text only what no earlier line contained. The result is that
 * of `readText`.
 */
export const createScannedReader = <What, Who>({
  scan,
  readText,
  seed,
  notAfter,
  ...on
}: ScannedReaderDeps<What, Who>): ReadBytes => {
  const whats = createPartMemory<Known<What>>(seed)
  const whos = createPartMemory<Who>(~seed)
  const parts: LineParts = { at: 0, bytes: NaN, what: [], who: [] }
  /** Whether headers have been read. */
  let hasRequest = false

  return (bytes, start, end) => {
    if (!hasRequest || !scan(bytes, start, end, parts) || parts.at > notAfter) {
      const outcome = readText(bytes.toString('utf8', start, end))
      hasRequest ||= outcome?.requester !== undefined
      return handOn(outcome, on)
    }
    let known = whats.get(bytes, parts.what)
    if (!known) {
      const outcome = readText(bytes.toString('utf8', start, end))
      if (!outcome) return undefined
      const { name, read } = outcome
      const hasBytes = read?.method === 'GET' && read.status !== NOT_MODIFIED
      known = { name, isRead: read !== undefined, what: read && on.what(flat(read)), hasBytes }
      whats.set(known)
    }
    const { name, isRead, what, hasBytes } = known
    if (!isRead) return name
    let who = what && whos.get(bytes, parts.who)
    if (what && !who) {
      who = on.who(requesterOf(readText(bytes.toString('utf8', start, end))?.requester ?? {}))
      whos.set(who)
    }
    on.onRequest(what, who, parts.at, hasBytes && !Number.isNaN(parts.bytes) ? parts.bytes : undefined)
    return name
  }
}

/** A part of a line would keep the whole line in memory. */
const flat = <T extends LoggedRead | Requester>(fields: T): T =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'string' ? flatCopy(value) : value,
    ]),
  ) as T

const requesterOf = ({ address, userAgent, user }: Requester): Requester =>
  flat({
    ...(address !== undefined && { address }),
    ...(userAgent !== undefined && { userAgent }),
    ...(user !== undefined && { user }),
  })
