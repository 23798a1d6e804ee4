import { flatCopy } from '../runtime/flat-copy.js'

/** The number of characters of a user agent that are used: the name of the client is at the beginning. */
const LONGEST_AGENT = 512

/** The part of a User-Agent header that is used. It does not end within a character. */
export const beginningOfAgent = (text: string): string =>
  text.length <= LONGEST_AGENT ? text : flatCopy(text.slice(0, LONGEST_AGENT).replace(/[\ud800-\udbff]$/, ''))
