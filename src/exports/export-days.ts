import { existsSync } from 'node:fs'
import { addDays } from '../pulls/model/period.js'
import { required, type Row } from './columns.js'
import type { Days, ExportTable } from './export-table.js'
import { FORMATS } from './formats.js'
import { createPartitionFile, partitionPath, type PartitionFile } from './partition-file.js'
import type { FormatName, Write } from './row-writer.js'

/** Called after each portion of rows. @param rows the number of rows so far, of all days */
type OnRows = (progress: { day: string; rows: number }) => void

/** A file that was written. */
type WrittenFile = { day: string; path: string; rows: number; bytes: number }

export type Exported = {
  files: WrittenFile[]
  /** The paths of earlier files that were kept, because the database has no longer all rows of their days. */
  kept: string[]
}

type PartitionsOptions = {
  directory: string
  format: FormatName
  days: Days
  /** Whether files are replaced even if the database has no longer all rows of their days. */
  isReplacing: boolean
  onRows: OnRows
}

/**
 * Writes a file for each day with rows. A day is read from one snapshot. If an export is interrupted, the files of the days before
 * are complete.
 * @throws FileError
 */
export const exportPartitions = async (table: ExportTable, options: PartitionsOptions): Promise<Exported> => {
  const { directory, format, days, isReplacing, onRows } = options
  const completeFrom = await table.completeFrom()
  const exported: Exported = { files: [], kept: [] }
  let rows = 0
  for (const day of await listDays(table, days)) {
    const path = partitionPath(directory, table.name, { day, format })
    if (!isReplacing && completeFrom !== undefined && day < completeFrom && existsSync(path)) {
      exported.kept.push(path)
      continue
    }
    const before = rows
    const bytes = await writeDay(table, { day, path, format }, (more) => {
      onRows({ day, rows: (rows += more) })
    })
    if (bytes !== undefined) exported.files.push({ day, path, rows: rows - before, bytes })
  }
  return exported
}

/** @returns the size of the file in bytes; undefined if the day has no rows, and so no file */
const writeDay = async (
  table: ExportTable,
  { day, path, format }: { day: string; path: string; format: FormatName },
  onRows: (rows: number) => void,
): Promise<number | undefined> => {
  let file: PartitionFile | undefined
  try {
    await table.readDay(day, async (rows) => {
      file ??= await createPartitionFile(path, format, table.columns)
      await file.add(rows)
      onRows(rows.length)
    })
    return await file?.finish()
  } catch (error) {
    await file?.discard()
    throw error
  }
}

type StreamOptions = { format: FormatName; days: Days; write: Write; onRows: OnRows }

/** Writes the rows of all days one after the other. The day is the first column, because there are no partitions. */
export const exportStream = async (
  table: ExportTable,
  { format, days, write, onRows }: StreamOptions,
): Promise<void> => {
  const target = FORMATS[format]([required('day', 'text'), ...table.columns], write)
  let rows = 0
  for (const day of await listDays(table, days)) {
    await table.readDay(day, async (more) => {
      await target.add(more.map((row): Row => [day, ...row]))
      onRows({ day, rows: (rows += more.length) })
    })
  }
  await target.end()
}

const listDays = async (table: ExportTable, days: Days): Promise<string[]> => {
  const found = await table.daysIn(days)
  const all: string[] = []
  for (let day = found?.from; day !== undefined && found && day <= found.to; day = addDays(day, 1)) all.push(day)
  return all
}
