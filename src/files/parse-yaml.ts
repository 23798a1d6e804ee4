import { isScalar, parse } from 'yaml'

/** The parser compares each key of a map with all others. So many comparisons take a tenth of a second. */
const MOST_COMPARISONS = 5_000_000

/** A map has too many keys. */
export class TooManyKeys extends Error {}

/**
 * Parses YAML of an operator; all scalars are text. A map of more than 3,000 keys is refused, since the time to look for equal keys grows with
 * the square of their number: a file that is read while the service runs would keep its event loop.
 * @throws TooManyKeys or an error of the parser; `yamlProblem` has sentences for both
 */
export const parseYaml = (text: string): unknown => {
  let comparisons = 0
  try {
    return parse(text, {
      schema: 'failsafe',
      uniqueKeys: (a, b) => {
        // An answer that ends the comparison: the parser would wrap an error of its own around one that is thrown here.
        if (++comparisons > MOST_COMPARISONS) return true
        return a === b || (isScalar(a) && isScalar(b) && a.value === b.value)
      },
    }) as unknown
  } catch (error) {
    throw comparisons > MOST_COMPARISONS ? new TooManyKeys() : error
  }
}
