import Table from 'cli-table3'

/** Control characters could command a terminal; registry names come from strangers. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g

type Cell = string | number | null | undefined

const cell = (value: Cell): string => String(value ?? '').replace(CONTROL, '·')

export const printLine = (text = ''): void => {
  process.stdout.write(`${text}\n`)
}

export const printJson = (value: unknown): void => {
  printLine(JSON.stringify(value, null, 2))
}

/** Rows under a heading, columns in line; numbers to the right. */
export const printTable = (heading: string[], rows: Cell[][]): void => {
  const numeric = heading.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'))
  const table = new Table({
    head: heading,
    colAligns: numeric.map((right) => (right ? 'right' : 'left')),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
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
  table.push(...rows.map((row) => row.map(cell)))
  printLine(table.toString().replace(/ +$/gm, ''))
}
