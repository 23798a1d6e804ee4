import stringWidth from 'string-width'

/** The text of a table: a heading, and as many cells in each row. */
export type TextTable = { heading: string[]; rows: string[][] }

/** A table that fits its terminal; `undefined` if no table of so many columns does, and each row is printed as a record. */
export type FittedTable = TextTable | undefined

/** Columns of the terminal between two columns of the table. */
export const GAP = 2
/** Hexadecimal digits that a digest is shortened to, as in the output of container tools. */
const DIGEST_DIGITS = 12
/** No cell that can be cut becomes narrower, so that both ends of a name can still be told from others. */
const NARROWEST = 9
/** As readers see them: a letter with its accents, an emoji, is one. */
const CHARACTERS = new Intl.Segmenter()
const DIGEST = /\b([a-z0-9]+(?:[+._-][a-z0-9]+)*):([0-9a-f]{32,})\b/g
/** Numbers, sizes, times and shares: cut in the middle, they would be other values. */
const UNCUTTABLE = /^[-\d.,:% ]*(?:[KMGTP]?i?B|s|UTC)?$/

/**
 * Makes a table as narrow as a terminal. Digests become 12 hexadecimal digits (with the algorithm, unless it is sha256); then
 * names are cut in the middle, the longest first. Numbers, sizes and times stay whole.
 * @param width columns of the terminal.
 */
export const fitTable = ({ heading, rows }: TextTable, width: number): FittedTable => {
  const short = rows.map((row) => row.map(shortenDigests))
  const widths = heading.map((name, i) => Math.max(stringWidth(name), ...short.map((row) => stringWidth(row[i] ?? ''))))
  const least = heading.map((name, i) => {
    const isUncuttable = short.every((row) => UNCUTTABLE.test(row[i] ?? ''))
    const own = widths[i] ?? 0
    return isUncuttable ? own : Math.min(own, Math.max(NARROWEST, stringWidth(name)))
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

export const shortenDigests = (text: string): string =>
  text.replace(DIGEST, (_, algorithm: string, hex: string) => {
    const digits = hex.slice(0, DIGEST_DIGITS)
    return algorithm === 'sha256' ? digits : `${algorithm}:${digits}`
  })

/** A text of at most `width` columns; a longer one loses its middle, since names differ at both ends. */
export const cutMiddle = (text: string, width: number): string => {
  if (stringWidth(text) <= width) return text
  const characters = [...CHARACTERS.segment(text)].map(({ segment }) => segment)
  const tail = Math.floor((width - 1) / 2)
  return `${beginningOf(characters, width - 1 - tail)}…${endOf(characters, tail)}`
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

/** Rows one below the other, a line for each of their cells: for terminals that are too narrow for a table. */
export const recordsOf = ({ heading, rows }: TextTable, width: number): string => {
  const column = Math.max(0, ...heading.map((name) => stringWidth(name))) + GAP
  const room = Math.max(NARROWEST, width - column)
  return rows
    .map((row) =>
      heading
        .map((name, i) => {
          const indent = ' '.repeat(column - stringWidth(name))
          return `${name}${indent}${cutMiddle(shortenDigests(row[i] ?? ''), room)}`.trimEnd()
        })
        .join('\n'),
    )
    .join('\n\n')
}
