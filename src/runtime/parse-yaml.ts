import { isScalar, LineCounter, parseDocument } from 'yaml'

/** The parser compares each key of a map with all others. So many comparisons take a tenth of a second. */
const MOST_COMPARISONS = 5_000_000

/** A map has too many keys. */
export class TooManyKeys extends Error {
  constructor() {
    super('a map has more than 3,000 keys')
  }
}

/** A text is not YAML; the message says where, and quotes nothing. */
export class NotYaml extends Error {}

/**
 * Parses YAML of an operator; all scalars are text. A map of more than 3,000 keys is refused, since the time to look for equal keys grows with
 * the square of their number: a file that is read while the service runs would keep its event loop.
 * @throws TooManyKeys or an error of the parser; `yamlProblem` has sentences for both
 */
export const parseYaml = (text: string): unknown => {
  let comparisons = 0
  const lines = new LineCounter()
  const document = parseDocument(text, {
    schema: 'failsafe',
    lineCounter: lines,
    // The parser would look at the whole line of each error: a line may have 1 MiB, and an error for each key.
    prettyErrors: false,
    uniqueKeys: (a, b) => {
      // An answer that ends the comparison: the parser would wrap an error of its own around one that is thrown here.
      if (++comparisons > MOST_COMPARISONS) return true
      return a === b || (isScalar(a) && isScalar(b) && a.value === b.value)
    },
  })
  if (comparisons > MOST_COMPARISONS) throw new TooManyKeys()
  const [error] = document.errors
  if (error) {
    const { line, col } = lines.linePos(error.pos[0])
    throw new NotYaml(`not YAML at line ${line}, column ${col}`)
  }
  return document.toJS() as unknown
}
