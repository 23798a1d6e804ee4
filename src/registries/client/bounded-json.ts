import { isFields, type Fields } from '../../events/json.js'
import { hasMoreStructuralTokens } from '../../runtime/structural-tokens.js'
import { hasRepeatedName } from './repeated-names.js'

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

/** The same for bytes that users of a registry choose: undefined also if one of its objects has a name twice, as programs differ in what they read. */
export const unambiguousFieldsIn = (json: Buffer): Fields | undefined => {
  const fields = fieldsIn(json)
  return fields && !hasRepeatedName(json) ? fields : undefined
}
