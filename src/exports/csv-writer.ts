import { csvLine } from '../runtime/csv.js'
import { eachText, textValue } from './ndjson-writer.js'
import type { RowWriterOf } from './row-writer.js'

/**
 * A heading, and a line for each row (RFC 4180). A missing value is an empty field. A text that a spreadsheet would run as a formula
 * gets an apostrophe before it, as in all CSV of Tallyman.
 */
export const createCsvWriter: RowWriterOf = (columns, write) => {
  let isBegun = false
  return {
    add: async (rows) => {
      if (!isBegun) await write(csvLine(columns.map(({ name }) => name)))
      isBegun = true
      await eachText(rows, (row) => csvLine(columns.map((column, i) => textValue(column, row[i] ?? null))), write)
    },
    end: async () => Promise.resolve(),
  }
}
