/** The type of a column, which each format and each warehouse writes in its own way. */
export type ColumnType = 'timestamp' | 'text' | 'int64' | 'int32' | 'boolean'

export type Column = {
  name: string
  type: ColumnType
  /** Whether a value may be missing. */
  isNullable: boolean
}

/** A value of a row: a `timestamp` is a number of microseconds since 1970 (UTC), and an `int64` is below 2^53. */
export type Value = string | number | boolean | null

/** The values of a row, in the order of the columns. */
export type Row = readonly Value[]

export const required = (name: string, type: ColumnType): Column => ({ name, type, isNullable: false })
export const optional = (name: string, type: ColumnType): Column => ({ name, type, isNullable: true })

/** The time of a request, and of the first request of an invocation. A column `at` must be quoted in BigQuery and DuckDB. */
export const REQUESTED_AT = 'requested_at'

/** Compares rows by all columns, so that equal rows are written in one order, however they are stored. A missing value is the first. */
export const inRowOrder = (a: Row, b: Row): number => compareColumns(a, b, a.length)

/** As `inRowOrder`, by the first columns alone. */
export const compareColumns = (a: Row, b: Row, columns: number): number => {
  for (let i = 0; i < columns; i++) {
    const [one = null, other = null] = [a[i], b[i]]
    if (one === other) continue
    if (one === null || other === null) return one === null ? -1 : 1
    return one < other ? -1 : 1
  }
  return 0
}
