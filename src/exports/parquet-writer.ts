import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer'
import type { Column, ColumnType, Row, Value } from './columns.js'
import type { RowWriterOf } from './row-writer.js'

/** The rows of a row group: readers skip or parallelize whole groups, and a writer needs the memory of one. */
const ROWS_OF_GROUP = 100_000

/** The first columns have the smallest and the largest value of each row group: the rows are sorted by them. */
const SORTED_COLUMNS = 3

/** The physical and the logical type of each type of column (the Parquet format, LogicalTypes.md). */
const TYPES: Record<ColumnType, Partial<SchemaElement>> = {
  timestamp: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MICROS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  },
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  int64: { type: 'INT64' },
  int32: { type: 'INT32' },
  boolean: { type: 'BOOLEAN' },
}

/** A Parquet file, compressed with Snappy, which all readers know. It contains no time of writing. */
export const createParquetWriter: RowWriterOf = (columns, write) => {
  const bytes = new ByteWriter()
  const flush = async (): Promise<void> => {
    await write(bytes.getBytes())
    bytes.index = 0
  }
  const target = Object.assign(bytes, { flush, finish: flush })
  const file = new ParquetWriter({ writer: target, schema: schemaOf(columns), createdBy: 'tallyman' })
  let rows: Row[] = []

  const writeGroup = async (group: readonly Row[]): Promise<void> => {
    const columnData = columns.map(({ name, type }, i) => ({
      ...{ name, data: group.map(valuesOf[type](i)) },
      statistics: i < SORTED_COLUMNS,
    }))
    await file.write({ columnData, rowGroupSize: ROWS_OF_GROUP })
  }
  return {
    add: async (more) => {
      for (const row of more) {
        rows.push(row)
        if (rows.length < ROWS_OF_GROUP) continue
        const group = rows
        rows = []
        await writeGroup(group)
      }
    },
    end: async () => {
      if (rows.length > 0) await writeGroup(rows)
      rows = []
      await file.finish()
    },
  }
}

const schemaOf = (columns: readonly Column[]): SchemaElement[] => [
  { name: 'tallyman', num_children: columns.length },
  ...columns.map(({ name, type, isNullable }) => ({
    name,
    repetition_type: isNullable ? ('OPTIONAL' as const) : ('REQUIRED' as const),
    ...TYPES[type],
  })),
]

type ValueOf = (i: number) => (row: Row) => Value | bigint

const asStored: ValueOf = (i) => (row) => row[i] ?? null
/** Values of 64 bits are bigints for the writer. */
const asBigint: ValueOf = (i) => (row) => {
  const value = row[i]
  return typeof value === 'number' ? BigInt(value) : null
}

const valuesOf: Record<ColumnType, ValueOf> = {
  timestamp: asBigint,
  text: asStored,
  int64: asBigint,
  int32: asStored,
  boolean: asStored,
}
