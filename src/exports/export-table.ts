import type { Column, Row } from './columns.js'

/** UTC days from `from` to `to`, both included, for example `2026-11-30`. */
export type Days = { from: string; to: string }

/** A table that can be exported, day by day. */
export type ExportTable = {
  name: TableName
  /** The columns of each row. The day is no column: it is the name of the partition. */
  columns: readonly Column[]
  /** The days among these that may have rows; undefined if none has. */
  daysIn: (days: Days) => Promise<Days | undefined>
  /** The first day of which no row was deleted, because rows of earlier days expire; undefined if rows never expire. */
  completeFrom: () => Promise<string | undefined>
  /**
   * Reads the rows of a day from one snapshot of the database, in the order of `inRowOrder`, in portions of bounded size.
   * @param take gets each portion; the next portion is read when its promise is fulfilled
   */
  readDay: (day: string, take: (rows: Row[]) => Promise<void>) => Promise<void>
  /** Sentences that qualify the rows that were read so far. */
  notes: () => string[]
}

export const TABLE_NAMES = ['requests', 'invocations', 'pull-days'] as const
export type TableName = (typeof TABLE_NAMES)[number]
