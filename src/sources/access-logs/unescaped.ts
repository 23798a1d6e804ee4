const SIMPLE: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
])
/** One escape, or several bytes in a row, which can be the bytes of one character. */
const ESCAPE = /(?:\\x[0-9a-fA-F]{2})+|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\["\\abfnrtv]/g
const HIGHEST_CODE_POINT = 0x10ffff

/**
 * The text of a logged value: `\x5C` (nginx, `log_format`, escape=default), `\"`, `\t`, `\u2028` and `\U0001f600` (Apache, and Go's
 * strconv.Quote, as distribution and Traefik write them). A broken escape stays as it is. Bytes that are not UTF-8 become U+FFFD.
 */
export const unescaped = (text: string): string => (text.includes('\\') ? text.replace(ESCAPE, characterOf) : text)

const characterOf = (escape: string): string => {
  const kind = escape.charAt(1)
  if (kind === 'x') return Buffer.from(escape.replaceAll('\\x', ''), 'hex').toString('utf8')
  if (kind !== 'u' && kind !== 'U') return SIMPLE.get(kind) ?? kind
  const code = Number.parseInt(escape.slice(2), 16)
  return code > HIGHEST_CODE_POINT ? escape : String.fromCodePoint(code)
}
