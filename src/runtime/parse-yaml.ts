import { isScalar, LineCounter, parseDocument, type ErrorCode } from 'yaml'

/** The parser compares each key of a map with all others. This number of comparisons takes a tenth of a second. */
const MOST_COMPARISONS = 5_000_000

/** What is wrong, for common errors of the parser. Its own messages may quote the text. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  BAD_INDENT: 'the indentation is wrong, or a bracket is not closed',
  DUPLICATE_KEY: 'this key occurs twice',
  MISSING_CHAR: 'a bracket, a quote, a comma or a colon is missing',
  TAB_AS_INDENT: 'a tab indents the line; use spaces',
}

/** A map has too many keys. */
export class TooManyKeys extends Error {
  constructor() {
    super('a map has more than 3,000 keys')
  }
}

/** A text is not YAML. The message contains the position, and does not quote the text. */
export class NotYaml extends Error {}

/**
 * Parses an operator's YAML; all scalars are text. A map with more than 3,000 keys is refused, because the time to find equal keys grows
 * with the square of their number: reading the file would block the event loop of the service.
 * @throws TooManyKeys or an error of the parser; `yamlProblem` returns messages for both
 */
export const parseYaml = (text: string): unknown => {
  let comparisons = 0
  const lines = new LineCounter()
  const document = parseDocument(text, {
    schema: 'failsafe',
    lineCounter: lines,
    // Otherwise the parser reads the whole line of each error: a line may have 1 MiB, and an error for each key.
    prettyErrors: false,
    uniqueKeys: (a, b) => {
      // Returning true ends the comparisons. An error thrown here would be wrapped in an error of the parser.
      if (++comparisons > MOST_COMPARISONS) return true
      return a === b || (isScalar(a) && isScalar(b) && a.value === b.value)
    },
  })
  if (comparisons > MOST_COMPARISONS) throw new TooManyKeys()
  const [error] = document.errors
  if (error) {
    const { line, col } = lines.linePos(error.pos[0])
    const hint = HINTS[error.code]
    throw new NotYaml(`not YAML at line ${line}, column ${col}${hint === undefined ? '' : `: ${hint}`}`)
  }
  return document.toJS() as unknown
}
