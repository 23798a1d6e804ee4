import type { Writable } from 'node:stream'
import { microsOf, utcDay } from '../events/calendar.js'
import { exportPartitions, exportStream } from '../exports/export-days.js'
import type { Days, ExportTable, TableName } from '../exports/export-table.js'
import { invocationsTable } from '../exports/invocations.js'
import { loadStatements } from '../exports/load-statements.js'
import { PULL_DAYS_BY, pullDaysTable } from '../exports/pull-days.js'
import { requestsTable } from '../exports/requests.js'
import type { FormatName, Write } from '../exports/row-writer.js'
import { DIMENSION_NAMES, dimension, type DimensionName } from '../pulls/model/dimensions.js'
import { addDays, isDay } from '../pulls/model/period.js'
import { keyedHash } from '../runtime/keyed-hash.js'
import { printable } from '../runtime/printable.js'
import { keepHeapSmall } from '../runtime/small-heap.js'
import type { Core } from '../service/core.js'
import { contextBy } from '../service/open-pulls.js'
import { context } from './command-context.js'
import { clock, configNow, warnOfEmbedded, withInstallation } from './stores/open.js'
import { findService } from './stores/service-client.js'
import { shownBytes } from './terminal/bytes.js'
import { CommandError } from './terminal/failure.js'
import { csvOutput, standardOutput, terminalWidth, write } from './terminal/output.js'
import { printJson, printLine, printNotes, printTitle } from './terminal/print.js'
import { progressLine } from './terminal/progress.js'

export type ExportOptions = {
  format: FormatName
  since: string
  until?: string
  registry?: string
  groupBy?: string
  to?: string
  replace?: boolean
  json?: boolean
}

/** Writes the rows of whole UTC days to files of a directory, or to standard output. */
export const exportTable = async (name: TableName, options: ExportOptions): Promise<void> => {
  const { format, to, json, replace } = options
  if (to === undefined && format === 'parquet')
    throw new CommandError('--format parquet needs a directory for its files: add --to DIR, or choose ndjson or csv')
  if (to === undefined && (json === true || replace === true))
    throw new CommandError(`--${json === true ? 'json' : 'replace'} is about files: add --to DIR`)
  const days = daysOf(options, clock())
  const groupBy = groupByOf(name, options.groupBy)
  const config = configNow()
  warnOfEmbedded(config)
  if (findService(config)) {
    throw new CommandError(
      'the running service has the embedded database open: stop it for the export, or use PostgreSQL',
    )
  }
  // A setting of the whole process, which other commands may share.
  if (context() === process) keepHeapSmall()
  await withInstallation(config, async (core) => {
    const registries =
      options.registry === undefined ? undefined : await core.registryNames.valuesOf([options.registry])
    const table = tableOf(name, core, { registries, groupBy })
    if (to === undefined) await exportToOutput(table, format, days)
    else await exportToFiles(table, days, { directory: to, format, isReplacing: replace === true, json })
    printNotes([...table.notes(), ...(await dayNotes(table, days))])
  })
}

/** @throws CommandError */
const daysOf = ({ since, until }: ExportOptions, now: Date): Days => {
  const today = utcDay(microsOf(now))
  for (const [option, day] of Object.entries({ since, until: until ?? since }))
    if (!isDay(day))
      throw new CommandError(`--${option}: "${day.slice(0, 40)}" is not a day, expected one like 2026-11-21`)
  if (until !== undefined && until < since) throw new CommandError('--until: expected a day that is not before --since')
  if (since > today) throw new CommandError(`--since: ${since} is after today (${today}, UTC)`)
  if (until === undefined && since === today)
    throw new CommandError(`--since: ${today} (UTC) is not over; add --until ${today} to export its rows so far`)
  return { from: since, to: until ?? addDays(today, -1) }
}

/** The dimensions by which an export can be grouped: times other than the day cannot. */
const GROUPS = DIMENSION_NAMES.filter((name) => dimension(name).isTime !== true)

/** @throws CommandError */
const groupByOf = (name: TableName, text: string | undefined): DimensionName[] => {
  if (text === undefined) return []
  if (name !== 'pull-days') throw new CommandError(`--group-by is for pull-days: each row of ${name} is one of them`)
  const names = text.split(',').map((one) => one.trim())
  const unknown = names.find((one) => !(GROUPS as string[]).includes(one))
  if (unknown === undefined) return names as DimensionName[]
  const others = GROUPS.filter((one) => !(PULL_DAYS_BY as string[]).includes(one))
  throw new CommandError(`--group-by: "${unknown.slice(0, 40)}" is not known, expected ${others.join(', ')}`)
}

type Selection = { registries: readonly string[] | undefined; groupBy: readonly DimensionName[] }

const tableOf = (name: TableName, core: Core, { registries, groupBy }: Selection): ExportTable => {
  const { config, secrets } = core
  const { database } = core.stores
  const publicId = (id: string): string => keyedHash(secrets.usersKey, `exported request ${id}`)
  switch (name) {
    case 'requests':
      return requestsTable({ database, registries, publicId, keptDays: config.pulls_request_days, now: clock() })
    case 'invocations':
      return invocationsTable({ database, registries, publicId })
    case 'pull-days':
      return pullDaysTable({ database, registries, groupBy, context: contextBy(config), now: clock() })
  }
}

const exportToOutput = async (table: ExportTable, format: FormatName, days: Days): Promise<void> => {
  const isTerminal = terminalWidth() !== undefined
  const isText = format === 'csv' && isTerminal
  const shown: ExportTable = {
    ...table,
    readDay: async (day, take) =>
      table.readDay(day, async (rows) =>
        take(rows.map((row) => row.map((value) => (typeof value === 'string' ? printable(value) : value)))),
      ),
  }
  const progress = progressLine()
  await exportStream(isText ? shown : table, {
    ...{ format, days, write: writeTo(format === 'csv' ? csvOutput() : standardOutput()) },
    // On a terminal, the rows themselves show the progress.
    onRows: ({ day, rows }) => {
      if (!isTerminal) progress.show(`${day}: ${rows} rows`)
    },
  }).finally(progress.end)
}

/** Waits for each write, so that a slow reader slows down the export. */
const writeTo = (target: Writable): Write => {
  // The error also rejects the write.
  target.on('error', () => undefined)
  return async (bytes) =>
    new Promise((resolve, reject) => {
      target.write(bytes, (error) => {
        if (error) reject(error)
        else resolve()
      })
    })
}

type FilesOptions = { directory: string; format: FormatName; isReplacing: boolean; json: boolean | undefined }

const exportToFiles = async (table: ExportTable, days: Days, { json, ...options }: FilesOptions): Promise<void> => {
  const progress = progressLine()
  const { files, kept } = await exportPartitions(table, {
    ...{ ...options, days },
    onRows: ({ day, rows }) => {
      progress.show(`${day}: ${rows} rows`)
    },
  }).finally(progress.end)
  const rows = files.reduce((sum, file) => sum + file.rows, 0)
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  const { name, columns } = table
  const statements = loadStatements({ name, columns, ...options })
  if (json === true) {
    printJson({ table: name, format: options.format, rows, bytes, files, kept, statements })
    return
  }
  printLine(
    `${files.length} ${files.length === 1 ? 'file' : 'files'} with ${rows} rows (${shownBytes(bytes)}) are in ${options.directory}/${name}`,
  )
  for (const path of kept) printLine(`kept: ${path}`)
  if (files.length === 0) return
  for (const { warehouse, statement } of statements) {
    printTitle(`${warehouse}:`)
    write(`${statement}\n`)
  }
}

const dayNotes = async (table: ExportTable, { from, to }: Days): Promise<string[]> => {
  const today = utcDay(microsOf(clock()))
  const completeFrom = await table.completeFrom()
  return [
    ...(completeFrom !== undefined && from < completeFrom
      ? [
          `Days before ${completeFrom} may lack rows, because ${table.name} expire. Existing files of these days are replaced only with --replace.`,
        ]
      : []),
    ...(to >= today ? [`${today} (UTC) is not over: export this day again when it is.`] : []),
  ]
}
