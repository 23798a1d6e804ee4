import { combined } from './combined.js'
import { distributionLog } from './distribution-log.js'
import type { LogFormat } from './log-format.js'
import { LOG_FORMATS } from './log-formats.js'
import { createUnwrap, recognizeWrapper, WRAPPERS, type Wrapper } from './unwrap.js'

/** The format of a file, and what wraps its lines; `wrapper` is missing if nothing does. */
export type Recognized = { format: LogFormat; wrapper?: Wrapper }
/** Why a file is not read, in a sentence that says what to do. */
export type Refused = { refusal: string }
/** The names that an operator gave. */
export type GivenNames = { format?: string; wrapper?: string }

const MOST_LINES = 200
/** In characters. */
const MOST_TEXT = 1024 * 1024
const NONE = 'none'
type WrapperName = Wrapper | typeof NONE
const WRAPPER_NAMES: readonly WrapperName[] = [...WRAPPERS, NONE]

/**
 * Finds the format of a file and the wrapper of its lines by the first lines, of which it reads at most 200 and 1 MiB. Lines are tried
 * as they are, and then unwrapped. A format is chosen if it recognizes most of the lines that any format recognizes. A given format is
 * used even if it recognizes no line.
 */
export const recognize = (lines: readonly string[], given: GivenNames = {}): Recognized | Refused => {
  const named = LOG_FORMATS.find(({ name }) => name === given.format)
  if (given.format !== undefined && !named) return { refusal: `there is no format ${given.format}: ${ADVICE}` }
  const wrapper = WRAPPER_NAMES.find((name) => name === given.wrapper)
  if (given.wrapper !== undefined && wrapper === undefined) {
    return { refusal: `there is no wrapper ${given.wrapper}: give --wrapper with one of ${WRAPPER_NAMES.join(', ')}` }
  }
  const first = beginningOf(lines)
  const candidates: readonly WrapperName[] = wrapper === undefined ? [NONE, recognizeWrapper(first) ?? NONE] : [wrapper]
  const formats = named ? [named] : LOG_FORMATS
  for (const candidate of candidates) {
    const counts = countLines(unwrapped(first, candidate), formats)
    if (counts.some(({ count }) => count > 0)) return chosen(counts, candidate)
  }
  if (named) return recognized(named, candidates.at(-1) ?? NONE)
  return { refusal: `no line among the first ${first.length} is of a known format: ${ADVICE}` }
}

const ADVICE = `give --format with one of ${LOG_FORMATS.map(({ name }) => name).join(', ')}`

const beginningOf = (lines: readonly string[]): string[] => {
  const beginning: string[] = []
  let length = 0
  for (const line of lines.slice(0, MOST_LINES)) {
    length += line.length + 1
    if (length > MOST_TEXT) break
    beginning.push(line)
  }
  return beginning
}

const unwrapped = (lines: readonly string[], wrapper: WrapperName): readonly string[] =>
  wrapper === NONE ? lines : lines.map(createUnwrap(wrapper)).filter((line) => line !== undefined)

type Count = { format: LogFormat; count: number }

/** The number of lines that each format recognizes, the largest first. */
const countLines = (lines: readonly string[], formats: readonly LogFormat[]): Count[] =>
  formats
    .map((format) => ({ format, count: lines.filter((line) => format.recognizes(line)).length }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count)

const chosen = (counts: readonly Count[], wrapper: WrapperName): Recognized | Refused => {
  const unrelated = withoutTwin(counts)
  const [best] = unrelated
  const all = unrelated.reduce((sum, { count }) => sum + count, 0)
  if (best && best.count * 2 > all) return recognized(best.format, wrapper)
  const names = unrelated.map(({ format, count }) => `${count} of ${format.name}`).join(', ')
  return { refusal: `the first lines are of several formats (${names}): ${ADVICE}` }
}

/**
 * CNCF distribution writes two lines for each request to one stream: one in its access log, and one in its application log, which has
 * the client's address behind a proxy. So the access log does not count if there are about as many lines of the application log: half
 * as many, because some versions and log levels write fewer.
 */
const withoutTwin = (counts: readonly Count[]): Count[] => {
  const access = counts.find(({ format }) => format === combined)
  const application = counts.find(({ format }) => format === distributionLog)
  if (!access || !application) return [...counts]
  const dropped = application.count * 2 >= access.count ? access : application
  return counts.filter((count) => count !== dropped)
}

const recognized = (format: LogFormat, wrapper: WrapperName): Recognized =>
  wrapper === NONE ? { format } : { format, wrapper }
