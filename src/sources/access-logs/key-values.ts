import type { Fields } from '../../events/json.js'

/**
 * Reads a line of `key=value` pairs as logrus' text formatter writes them: a value with other characters than letters, digits and
 * `-._/@^+` is quoted like a string of Go (Go's package fmt, `%q`).
 * @returns the texts by key; undefined if the line contains anything else, if a quote is not closed, or if a key occurs twice
 */
export const readKeyValues = (line: string): Fields | undefined => {
  const pairs = new Map<string, string>()
  for (let i = skipSpaces(line, 0); i < line.length; i = skipSpaces(line, i)) {
    const equals = line.indexOf('=', i)
    const key = line.slice(i, equals)
    if (equals === -1 || !KEY.test(key) || pairs.has(key)) return undefined
    const isQuoted = line[equals + 1] === '"'
    const end = isQuoted ? endOfQuoted(line, equals + 1) : endOfWord(line, equals + 1)
    if (end === undefined || (end < line.length && line[end] !== ' ')) return undefined
    pairs.set(key, isQuoted ? unquoted(line.slice(equals + 2, end - 1)) : line.slice(equals + 1, end))
    i = end
  }
  return Object.fromEntries(pairs)
}

const KEY = /^[^\s"=]{1,256}$/

const skipSpaces = (line: string, from: number): number => {
  let i = from
  while (line[i] === ' ') i++
  return i
}

const endOfWord = (line: string, from: number): number => {
  const space = line.indexOf(' ', from)
  return space === -1 ? line.length : space
}

/** The position after the closing quote. */
const endOfQuoted = (line: string, from: number): number | undefined => {
  for (let i = from + 1; i < line.length; i++) {
    if (line[i] === '\\') i++
    else if (line[i] === '"') return i + 1
  }
  return undefined
}

/** Old versions of logrus did not escape: a backslash that begins no escape of Go is itself. */
const ESCAPE = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([abfnrtv"\\]))/g
const SINGLE: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '"': '"',
  '\\': '\\',
}

const unquoted = (text: string): string =>
  text.replace(ESCAPE, (whole: string, byte?: string, short?: string, long?: string, single?: string) => {
    if (single !== undefined) return SINGLE[single] ?? whole
    // A byte from 0x80 is no UTF-8: Go escapes only such bytes.
    if (byte !== undefined) return parseInt(byte, 16) < 0x80 ? String.fromCharCode(parseInt(byte, 16)) : '\ufffd'
    const point = parseInt(short ?? long ?? '', 16)
    return point <= 0x10_ffff ? String.fromCodePoint(point) : whole
  })
