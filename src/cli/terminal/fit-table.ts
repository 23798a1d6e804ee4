import stringWidth from 'string-width'
import { DIGEST_ALGORITHMS } from '../../events/reference.js'

/** The text of a table: a heading, and rows with the same number of cells. */
export type TextTable = { heading: string[]; rows: string[][] }

/** A table that fits its terminal; `undefined` if the terminal is too narrow, so that each row is printed as a record. */
export type FittedTable = TextTable | undefined

/** Columns of the terminal between two columns of the table. */
export const GAP = 2
/** The number of hexadecimal digits of a shortened digest, as in the output of container tools. */
const DIGEST_DIGITS = 12
/** The smallest width of a cut cell, so that both ends of a name still distinguish it. */
const NARROWEST = 9
/** Splits a text into characters as readers see them: a letter with its accents, or an emoji, is one character. */
const CHARACTERS = new Intl.Segmenter()
/** A digest of a registered algorithm: any other word with a colon and hexadecimal digits may be something else. */
const DIGEST = new RegExp(
  `(?<![\\w.+-])(?:${[...DIGEST_ALGORITHMS].map(([name, digits]) => `${name}:[0-9a-f]{${digits}}`).join('|')})(?!\\w)`,
  'g',
)

const NUMBER = String.raw`[-+]?\d[\d.,]*(?:e[-+]?\d+)?(?: ?(?:%|[KMGTP]?i?B|s))?`
const DAY = String.raw`[-+]?\d{4,6}-(?:W?\d\d|Q\d)(?:-\d\d)?`
const CLOCK = String.raw`\d\d:\d\d(?::\d\d(?:\.\d+)?)?`
const ZONE = String.raw` ?(?:Z|UTC|[-+]\d\d(?::?\d\d)?)`
const ADDRESS = String.raw`\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?`
const VALUE = new RegExp(`^ *(?:${NUMBER}|${DAY}|(?:${DAY}[T ])?${CLOCK}(?:${ZONE})?|${ADDRESS})$`)
/** A longer cell of digits is a name. */
const LONGEST_VALUE = 40

/** Whether a cell is a number, a size, a time, a share or an address: cut in the middle, it would be another value. */
const isUncuttable = (text: string): boolean => text.length <= LONGEST_VALUE && VALUE.test(text)

/**
 * Makes a table as narrow as a terminal. Digests become 12 hexadecimal digits (with the algorithm, unless it is sha256); then
 * names are cut in the middle, the longest first. Numbers, sizes and times stay whole.
 * @param width columns of the terminal.
 */
export const fitTable = ({ heading, rows }: TextTable, width: number): FittedTable => {
  const short = rows.map((row) => row.map(shortenDigests))
  const widths = heading.map((name, i) => Math.max(stringWidth(name), ...short.map((row) => stringWidth(row[i] ?? ''))))
  const least = heading.map((name, i) => {
    const uncuttable = short.map((row) => row[i] ?? '').filter(isUncuttable)
    return Math.max(
      Math.min(widths[i] ?? 0, Math.max(NARROWEST, stringWidth(name))),
      ...uncuttable.map((text) => stringWidth(text)),
    )
  })
  const available = width - GAP * (heading.length - 1)
  if (sum(least) > available) return undefined
  const fitted = narrowed(widths, least, available)
  return { heading, rows: short.map((row) => row.map((text, i) => cutMiddle(text, fitted[i] ?? width))) }
}

/** Takes columns of the terminal from the widest column of the table until all fit. */
const narrowed = (widths: readonly number[], least: readonly number[], available: number): number[] => {
  const fitted = [...widths]
  for (let over = sum(fitted) - available; over > 0; over--) {
    let widest: number | undefined
    for (const [i, own] of fitted.entries())
      if (own > (least[i] ?? 0) && (widest === undefined || own > (fitted[widest] ?? 0))) widest = i
    if (widest === undefined) return fitted
    fitted[widest] = (fitted[widest] ?? 0) - 1
  }
  return fitted
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0)

/** Shortens digests of registered algorithms to their first 12 hexadecimal digits, which filters by digest accept. */
export const shortenDigests = (text: string): string =>
  text.replace(DIGEST, (digest) => {
    const [algorithm = '', hex = ''] = digest.split(':')
    const digits = hex.slice(0, DIGEST_DIGITS)
    return algorithm === 'sha256' ? digits : `${algorithm}:${digits}`
  })

/** No name of a registry, a repository, a tag or a digest contains one of these. */
const IN_SENTENCES = /[\s,()[\]{}"]/
/** The part of a cut number at the end of the text before the cut, and at the beginning of the text after the cut. */
const NUMBER_AT_END = /[-+]?\d[\d.,:-]*$/
const NUMBER_AT_BEGINNING = /^[\d.,:-]+/

/**
 * Shortens a text to `width` columns by cutting its middle, because names differ at both ends. A number in a sentence stays whole
 * or is removed: a part of it would be another number.
 */
export const cutMiddle = (text: string, width: number): string => {
  if (stringWidth(text) <= width) return text
  const characters = [...CHARACTERS.segment(text)].map(({ segment }) => segment)
  const tailWidth = Math.floor((width - 1) / 2)
  const head = beginningOf(characters, width - 1 - tailWidth)
  const tail = endOf(characters, tailWidth)
  if (!IN_SENTENCES.test(text)) return `${head}…${tail}`
  const isAfterHead = /^[\d.,:-]/.test(text.slice(head.length))
  const isBeforeTail = /[\d.,:-]$/.test(text.slice(0, text.length - tail.length))
  return `${isAfterHead ? head.replace(NUMBER_AT_END, '') : head}…${isBeforeTail ? tail.replace(NUMBER_AT_BEGINNING, '') : tail}`
}

const beginningOf = (characters: readonly string[], width: number): string => {
  let kept = ''
  for (const one of characters) {
    if (stringWidth(kept + one) > width) break
    kept += one
  }
  return kept
}

const endOf = (characters: readonly string[], width: number): string => {
  let kept = ''
  for (const one of [...characters].reverse()) {
    if (stringWidth(one + kept) > width) break
    kept = one + kept
  }
  return kept
}

/**
 * The rows of a table as records, with a line for each cell, for terminals that are too narrow for a table. A number or a time that
 * does not fit beside its heading is on the next line.
 */
export const recordsOf = ({ heading, rows }: TextTable, width: number): string => {
  const names = heading.map((name) => cutMiddle(name, Math.max(NARROWEST, Math.floor(width / 2))))
  const column = Math.max(0, ...names.map((name) => stringWidth(name))) + GAP
  const room = Math.max(NARROWEST, width - column)
  const lineOf = (name: string, cell: string): string => {
    const text = shortenDigests(cell)
    if (isUncuttable(text) && stringWidth(text) > room) return `${name}\n${' '.repeat(GAP)}${text}`
    return `${name}${' '.repeat(column - stringWidth(name))}${cutMiddle(text, room)}`.trimEnd()
  }
  return rows.map((row) => names.map((name, i) => lineOf(name, row[i] ?? '')).join('\n')).join('\n\n')
}
