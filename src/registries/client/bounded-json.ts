import { isFields, type Fields } from '../../events/json.js'
import { hasMoreStructuralTokens } from '../../runtime/structural-tokens.js'
import { hasRepeatedName } from './repeated-names.js'

/**
 * The largest number of structural tokens (`,`, `{`, `[`) in an answer of a registry. A parsed token takes 20 to 100 bytes of memory.
 * The largest legal manifest, 4 MiB with 40,000 entries, has 160,000 tokens, and a page of a list as many tokens as names.
 */
export const MOST_TOKENS = 500_000

/** Parses the JSON object of an answer. @returns undefined if it is no JSON object, or has more than MOST_TOKENS tokens */
export const fieldsIn = (json: Buffer): Fields | undefined => {
  if (hasMoreStructuralTokens(json, MOST_TOKENS)) return undefined
  try {
    const value: unknown = JSON.parse(json.toString('utf8'))
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

/**
 * As `fieldsIn`, for bytes that users of a registry choose. Also undefined if one of the objects has a name twice, because programs
 * then read different values.
 */
export const unambiguousFieldsIn = (json: Buffer): Fields | undefined => {
  const fields = fieldsIn(json)
  return fields && !hasRepeatedName(json) ? fields : undefined
}
