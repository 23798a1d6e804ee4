import { endOfString } from '../../runtime/structural-tokens.js'

const [QUOTE, COLON, BRACKET, BACKSLASH, CLOSING_BRACKET, BRACE, CLOSING_BRACE] = [
  0x22, 0x3a, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d,
]
/** The nesting depth that programs in Go accept ("maxNestingDepth" of encoding/json). It limits the names in memory. */
const DEEPEST = 10_000

/**
 * Whether programs may read different values in a JSON text because one of its objects has a name twice. JSON.parse keeps the last
 * value; other programs keep the first, or merge both. Also true for a text that is too deep for programs in Go.
 * @param json a text that JSON.parse accepts, as UTF-8
 */
export const hasRepeatedName = (json: Buffer): boolean => {
  /** The names of each open object; undefined for a list. */
  const open: (Set<string> | undefined)[] = []
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]
    if (byte === QUOTE) {
      const from = i
      i = endOfString(json, from)
      if (!isBeforeColon(json, i)) continue
      const names = open.at(-1)
      const name = textOf(json.subarray(from, i + 1))
      if (names?.has(name)) return true
      names?.add(name)
    } else if (byte === BRACE || byte === BRACKET) {
      if (open.push(byte === BRACE ? new Set() : undefined) > DEEPEST) return true
    } else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) open.pop()
  }
  return false
}

const SPACES: ReadonlySet<number | undefined> = new Set(Buffer.from(' \t\r\n'))

/** Whether the string that ends at a position is a name. */
const isBeforeColon = (json: Buffer, end: number): boolean => {
  let i = end + 1
  while (SPACES.has(json[i])) i++
  return json[i] === COLON
}

const textOf = (quoted: Buffer): string =>
  quoted.includes(BACKSLASH)
    ? (JSON.parse(quoted.toString('utf8')) as string)
    : quoted.toString('utf8', 1, quoted.length - 1)
