import { isFields, type Fields } from '../../events/excerpt.js'
import { hasMoreStructuralTokens } from '../../events/structural-tokens.js'

/**
 * Structural tokens (`,`, `{`, `[`) of an answer of a registry. A parsed token takes 20 to 100 bytes of memory. The largest legal
 * manifest, 4 MiB with 40,000 entries, has 160,000, and a page of a list as many as names.
 */
export const MOST_TOKENS = 500_000

/** The object that the JSON of an answer is; undefined if it is no JSON object, or has more values than are read. */
export const fieldsIn = (json: Buffer): Fields | undefined => {
  if (hasMoreStructuralTokens(json, MOST_TOKENS)) return undefined
  try {
    const value: unknown = JSON.parse(json.toString('utf8'))
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}
