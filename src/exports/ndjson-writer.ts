import { isoTime } from '../events/calendar.js'
import type { Column, Row, Value } from './columns.js'
import type { RowWriterOf } from './row-writer.js'

/** The value of a column as text formats contain it: times are ISO 8601 in UTC with microseconds. */
export const textValue = ({ type }: Column, value: Value): Value =>
  type === 'timestamp' && typeof value === 'number' ? isoTime(value) : value

/** A JSON object on each line (https://github.com/ndjson/ndjson-spec). A missing value is null. */
export const createNdjsonWriter: RowWriterOf = (columns, write) => {
  const names = columns.map(({ name }) => JSON.stringify(name))
  const lineOf = (row: Row): string =>
    `{${columns.map((column, i) => `${names[i] ?? ''}:${JSON.stringify(textValue(column, row[i] ?? null))}`).join(',')}}\n`
  return {
    add: async (rows) => eachText(rows, lineOf, write),
    end: async () => Promise.resolve(),
  }
}

const ROWS_AT_ONCE = 5_000

/** Writes the texts of rows in pieces of bounded size. */
export const eachText = async (
  rows: readonly Row[],
  textOf: (row: Row) => string,
  write: (text: string) => Promise<void>,
): Promise<void> => {
  for (let i = 0; i < rows.length; i += ROWS_AT_ONCE)
    await write(
      rows
        .slice(i, i + ROWS_AT_ONCE)
        .map(textOf)
        .join(''),
    )
}
