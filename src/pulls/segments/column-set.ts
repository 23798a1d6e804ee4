type Column = Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array
type ColumnSet = Readonly<Record<string, Column>>

/** Copies columns into larger ones. @returns the larger ones */
export const copyColumns = <Columns extends ColumnSet>(columns: Columns, larger: Columns): Columns => {
  for (const [name, column] of Object.entries(columns)) larger[name]?.set(column)
  return larger
}

/** Views of the first rows of columns. @param room the number of rows for which there is room */
export const firstRows = <Columns extends ColumnSet>(columns: Columns, length: number, room: number): Columns =>
  Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [name, column.subarray(0, length * (column.length / room))]),
  ) as unknown as Columns
