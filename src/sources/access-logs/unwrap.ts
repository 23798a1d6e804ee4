import { isFields } from '../../events/json.js'
import { withoutSyslogPrefix } from './syslog-prefix.js'

/** What can wrap the lines of a log: Docker's driver json-file, the container runtimes of Kubernetes (CRI), or syslog. */
export const WRAPPERS = ['docker', 'cri', 'syslog'] as const
export type Wrapper = (typeof WRAPPERS)[number]

/** In characters. The rest of a longer joined line is discarded. */
const LONGEST_LINE = 65_536

/** The wrapped part of a line. */
type Wrapped = {
  text: string
  /** Whether the next part of the same stream continues the line. */
  isPartial: boolean
  stream: Stream
}
type Stream = 'stdout' | 'stderr' | 'other'

/**
 * The wrapper of more than half of the lines; undefined if there is none. Lines of Harbor and HAProxy have a syslog prefix that
 * their formats read, so a caller looks for a wrapper only if no format recognizes the lines as they are.
 */
export const recognizeWrapper = (lines: readonly string[]): Wrapper | undefined => {
  const used = lines.filter((line) => line.trim() !== '')
  return WRAPPERS.find((name) => used.filter((line) => READERS[name](line) !== undefined).length * 2 > used.length)
}

/**
 * Creates a function that returns the line that a record contains. Records must come in the order of the file.
 * @returns a function that returns undefined for a record whose line continues in a later record of the same stream; a record
 * without the wrapper as it is
 */
export const createUnwrap = (wrapper: Wrapper): ((line: string) => string | undefined) => {
  const read = READERS[wrapper]
  const pending = new Map<Stream, PendingLine>()
  return (line) => {
    const wrapped = read(line)
    if (!wrapped) return line
    const { text, isPartial, stream } = wrapped
    const begun = pending.get(stream)
    if (!isPartial) {
      pending.delete(stream)
      return begun ? joined(append(begun, text)) : cut(text)
    }
    pending.set(stream, append(begun ?? { parts: [], length: 0 }, text))
    return undefined
  }
}

/** The parts of a line that is not complete, with the number of their characters. */
type PendingLine = { parts: string[]; length: number }

const append = (line: PendingLine, text: string): PendingLine => {
  const part = text.slice(0, LONGEST_LINE - line.length)
  if (part !== '') line.parts.push(part)
  line.length += part.length
  return line
}

const joined = ({ parts }: PendingLine): string => parts.join('')
const cut = (text: string): string => (text.length > LONGEST_LINE ? text.slice(0, LONGEST_LINE) : text)

/** Docker's docs, "JSON File logging driver". A text without a line end continues in the next record. */
const readDocker = (line: string): Wrapped | undefined => {
  if (!line.startsWith('{"log":')) return undefined
  const record = parsed(line)
  if (!isFields(record) || typeof record.log !== 'string' || typeof record.time !== 'string') return undefined
  const isPartial = !record.log.endsWith('\n')
  return { text: isPartial ? record.log : withoutLineEnd(record.log), isPartial, stream: streamOf(record.stream) }
}

const parsed = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const withoutLineEnd = (text: string): string => text.slice(0, text.endsWith('\r\n') ? -2 : -1)

const streamOf = (name: unknown): Stream => (name === 'stdout' || name === 'stderr' ? name : 'other')

/** Kubernetes' CRI logging format: time, stream, tags of which the first is P (partial) or F (full), and the text. */
const CRI =
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) (stdout|stderr) ([PF])(?::[^ ]{0,64})?(?: |$)/

const readCri = (line: string): Wrapped | undefined => {
  const [prefix, stream, tag] = CRI.exec(line) ?? []
  return prefix === undefined
    ? undefined
    : { text: line.slice(prefix.length), isPartial: tag === 'P', stream: streamOf(stream) }
}

const readSyslog = (line: string): Wrapped | undefined => {
  const text = withoutSyslogPrefix(line)
  return text === undefined ? undefined : { text, isPartial: false, stream: 'other' }
}

const READERS: Readonly<Record<Wrapper, (line: string) => Wrapped | undefined>> = {
  docker: readDocker,
  cri: readCri,
  syslog: readSyslog,
}
