import { isTimeZone } from '../events/calendar.js'
import { isRegistryName } from '../events/registry-host.js'
import { findLogs } from '../logs/find-logs.js'
import { EmptyLog, ImportRefused, type Imported } from '../logs/import-file.js'
import type { LeftOut } from '../logs/walk-folder.js'
import { FileError } from '../runtime/file-error.js'
import { createLogImport } from '../service/log-import.js'
import { LINE_CLASSES } from '../sources/access-logs/line-class.js'
import { configNow, withInstallation } from './stores/open.js'
import { findService } from './stores/service-client.js'
import { CommandError } from './terminal/failure.js'
import { printJson, printLine, printNotes, printTable } from './terminal/print.js'
import { progressLine } from './terminal/progress.js'

export type ImportOptions = {
  registry: string
  format?: string
  wrapper?: string
  tz?: string
  json?: boolean
  wide?: boolean
}

type ImportedFile = Omit<Imported, 'problem'> & { file: string }

/** What lines are counted as beside the classes of requests. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  no_request: 'a header, or a message about something else',
  unreadable: 'the line is not of the format of the file',
  too_long: 'the line has more than 65,536 bytes',
  late: 'of these requests: too late, their day cannot change any more',
}
/** Exit codes: a log could not be read to its end, and a line could not be read. */
const SOME_NOT_READ = 1
const SOME_UNREADABLE = 3
/** The files that were left out are named, at most so many. */
const MOST_NOTES = 100

/** Imports access logs, and folds their requests. Exit code 1 if a log could not be read to its end, 3 if a line could not be read. */
export const importLogs = async (paths: readonly string[], options: ImportOptions): Promise<number> => {
  checkOptions(options)
  const { format, wrapper, tz, json } = options
  const config = configNow()
  if (findService(config)) {
    throw new CommandError(
      'the running service has the embedded database open: stop it for the import, or use PostgreSQL (DATABASE_URL)',
    )
  }
  return withInstallation(config, async (core) => {
    const logs = createLogImport(core)
    const registry = await logs.registryOf(options.registry)
    const progress = progressLine()
    const files: ImportedFile[] = []
    const leftOut: LeftOut[] = []
    const began = performance.now()
    for await (const found of findLogs(paths, { input: process.stdin })) {
      if (found.kind !== 'log') {
        leftOut.push(found)
        continue
      }
      const { name: file } = found.source
      try {
        const { problem, ...imported } = await logs.importFile(found.source, {
          registry,
          given: { ...(format !== undefined && { format }), ...(wrapper !== undefined && { wrapper }) },
          options: { ...(tz !== undefined && { timeZone: tz }) },
          onProgress: (lines) => {
            progress.show(`reading ${file}: ${progressOf(lines, began)}`)
          },
        })
        files.push({ file, ...imported })
        if (problem) leftOut.push({ kind: 'unreadable', path: file, reason: problem.reason })
      } catch (error) {
        if (!(error instanceof FileError || error instanceof ImportRefused)) throw error
        leftOut.push({ kind: error instanceof EmptyLog ? 'left_out' : 'unreadable', path: file, reason: error.reason })
      }
    }
    await logs.fold(({ day }) => {
      progress.show(`folding the requests of ${day}`)
    })
    progress.end()
    printNotes(notesOf(leftOut))
    if (json === true) printJson(files)
    else printFiles(files, { wide: options.wide === true })
    if (leftOut.some(({ kind }) => kind === 'unreadable')) return SOME_NOT_READ
    return files.some(({ counts }) => countIn(counts, 'unreadable', 'too_long') > 0) ? SOME_UNREADABLE : 0
  })
}

const notesOf = (leftOut: readonly LeftOut[]): string[] => {
  const notes = leftOut.slice(0, MOST_NOTES).map(({ path, reason }) => `${path}: ${reason}`)
  const more = leftOut.length - notes.length
  return more > 0 ? [...notes, `${more} more files were left out or could not be read`] : notes
}

const checkOptions = ({ registry, tz }: ImportOptions): void => {
  if (!isRegistryName(registry)) {
    throw new CommandError(
      `--registry: "${registry}" is not the name of a registry, expected one like registry.example.com`,
    )
  }
  if (tz !== undefined && !isTimeZone(tz)) {
    throw new CommandError(`--tz: "${tz}" is no time zone, expected one like Europe/Berlin`)
  }
}

const progressOf = (lines: number, began: number): string => {
  const seconds = (performance.now() - began) / 1_000
  return `${lines.toLocaleString('en')} lines, ${Math.round(lines / seconds).toLocaleString('en')} lines/s`
}

const countIn = (counts: Imported['counts'], ...names: string[]): number =>
  names.reduce((sum, name) => sum + (counts[name] ?? 0), 0)

const printFiles = (files: readonly ImportedFile[], width: { wide: boolean }): void => {
  printTable(
    ['file', 'format', 'new lines', 'imported before'],
    files.map(({ file, format, lines, before }) => [file, format, lines, before]),
    width,
  )
  const all: Record<string, number> = {}
  for (const { counts } of files)
    for (const [name, lines] of Object.entries(counts)) all[name] = (all[name] ?? 0) + lines
  if (Object.keys(all).length === 0) return
  printLine('')
  const sentences: Readonly<Record<string, string>> = { ...LINE_CLASSES, ...OTHER_NAMES }
  printTable(
    ['class', 'lines', 'meaning'],
    Object.entries(sentences).flatMap(([name, sentence]) => {
      const lines = all[name]
      return lines === undefined ? [] : [[name, lines, sentence]]
    }),
    width,
  )
}
