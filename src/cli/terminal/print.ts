import Table from 'cli-table3'
import { printable } from '../../runtime/printable.js'
import { fitTable, GAP, recordsOf, type TextTable } from './fit-table.js'
import { terminalWidth, write, writeError } from './output.js'

type Cell = string | number | null | undefined

const cell = (value: Cell): string => printable(String(value ?? ''))

/** Prints one line. A line feed in the text is escaped, because it is part of a name. */
export const printLine = (text = ''): void => {
  write(`${printable(text)}\n`)
}

/** Prints an empty line and a line. */
export const printTitle = (text: string): void => {
  printLine()
  printLine(text)
}

export const printJson = (value: unknown): void => {
  write(`${JSON.stringify(value, null, 2)}\n`)
}

/** Prints notes to standard error, so that standard output contains only the answer. */
export const printNotes = (notes: readonly string[]): void => {
  for (const note of notes) writeError(printable(`note: ${note}`))
}

/** No default: a command that prints a table has the option `--wide`. */
export type TableOptions = {
  /** Whether names and digests stay whole, however wide the terminal is. */
  wide: boolean | undefined
}

/**
 * Prints rows under a heading, with aligned columns and numbers to the right. On a terminal the table fits its width; in a pipe or a
 * file no cell is shortened.
 */
export const printTable = (heading: string[], rows: Cell[][], { wide = false }: TableOptions): void => {
  const text = { heading: heading.map(cell), rows: rows.map((row) => row.map(cell)) }
  const width = wide ? undefined : terminalWidth()
  if (width === undefined) write(`${alignedTable(text, rows)}\n`)
  else {
    const fitted = fitTable(text, width)
    write(`${fitted ? alignedTable(fitted, rows) : recordsOf(text, width)}\n`)
  }
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
