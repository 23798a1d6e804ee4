/** A line of RFC 4180. */
export const csvLine = (values: readonly unknown[]): string => `${values.map(field).join(',')}\r\n`

/** A heading, and a line for each row. */
export const csvOf = (columns: readonly string[], rows: readonly Readonly<Record<string, unknown>>[]): string =>
  [csvLine(columns), ...rows.map((row) => csvLine(columns.map((name) => row[name])))].join('')

/** A spreadsheet runs a cell that begins with such a character. Some programs also accept the wide forms (U+FF1D and others). */
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/

const field = (value: unknown): string => {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number') return String(value)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const harmless = typeof value === 'string' && FORMULA.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
