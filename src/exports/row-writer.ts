import type { Column, Row } from './columns.js'

/** Writes rows in a format. Equal rows in equal order give equal bytes, however they are divided into portions. */
export type RowWriter = {
  add: (rows: readonly Row[]) => Promise<void>
  /** Writes what is left. No rows may follow. */
  end: () => Promise<void>
}

/** Takes bytes or text. The next call may reuse the memory of the bytes when the promise is fulfilled. */
export type Write = (bytes: Uint8Array | string) => Promise<void>

export type RowWriterOf = (columns: readonly Column[], write: Write) => RowWriter

export const FORMAT_NAMES = ['parquet', 'ndjson', 'csv'] as const
export type FormatName = (typeof FORMAT_NAMES)[number]
