import Table from 'cli-table3'
import { context } from './command-context.js'
import { fitTable, GAP, recordsOf, type TextTable } from './fit-table.js'

/** Control characters could command a terminal; registry names come from strangers. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g

type Cell = string | number | null | undefined

const cell = (value: Cell): string => String(value ?? '').replace(CONTROL, '·')

export const printLine = (text = ''): void => {
  context().stdout.write(`${text}\n`)
}

export const printJson = (value: unknown): void => {
  printLine(JSON.stringify(value, null, 2))
}

/** Prints notes to standard error, so that standard output is the answer alone. */
export const printNotes = (notes: readonly string[]): void => {
  for (const note of notes) context().stderr.write(`note: ${note}\n`)
}

/** Of a terminal that does not report its width. */
const USUAL_COLUMNS = 80

/** No default: a command that prints a table has the option `--wide`. */
export type TableOptions = {
  /** Whether names and digests stay whole, however wide the terminal is. */
  wide: boolean | undefined
}

/**
 * Prints rows under a heading, columns aligned, numbers to the right. On a terminal the table fits its width; in a pipe or a
 * file nothing is shortened.
 */
export const printTable = (heading: string[], rows: Cell[][], { wide = false }: TableOptions): void => {
  const text = { heading, rows: rows.map((row) => row.map(cell)) }
  const { isTTY = false, columns = 0 } = context().stdout
  const width = wide || !isTTY ? Infinity : columns || USUAL_COLUMNS
  const fitted = Number.isFinite(width) ? fitTable(text, width) : text
  printLine(fitted ? alignedTable(fitted, rows) : recordsOf(text, width))
}

const alignedTable = ({ heading, rows: texts }: TextTable, rows: readonly Cell[][]): string => {
  const numeric = heading.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'))
  const table = new Table({
    head: heading,
    colAligns: numeric.map((right) => (right ? 'right' : 'left')),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
    chars: Object.fromEntries(
      [
        'top',
        'top-mid',
        'top-left',
        'top-right',
        'bottom',
        'bottom-mid',
        'bottom-left',
        'bottom-right',
        'left',
        'left-mid',
        'mid',
        'mid-mid',
        'right',
        'right-mid',
        'middle',
      ].map((name) => [name, '']),
    ),
  })
  table.push(...texts)
  return table.toString().replace(/ +$/gm, '')
}
