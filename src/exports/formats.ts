import { createCsvWriter } from './csv-writer.js'
import { createNdjsonWriter } from './ndjson-writer.js'
import { createParquetWriter } from './parquet-writer.js'
import type { FormatName, RowWriterOf } from './row-writer.js'

/** The writer of each format. */
export const FORMATS: Readonly<Record<FormatName, RowWriterOf>> = {
  parquet: createParquetWriter,
  ndjson: createNdjsonWriter,
  csv: createCsvWriter,
}
