import type { Micros } from '../events/calendar.js'
import type { FileError } from '../runtime/file-error.js'
import { UserError } from '../runtime/user-error.js'
import type { ReaderOptions } from '../sources/access-logs/log-format.js'
import { LOG_FORMATS } from '../sources/access-logs/log-formats.js'
import { recognize, type GivenNames, type Recognized } from '../sources/access-logs/recognize.js'
import { WRAPPERS } from '../sources/access-logs/unwrap.js'
import type { Database } from '../storage/sql/database.js'
import { filesWith, type FileCounts, type LogFile } from './file-table.js'
import { importLines } from './import-lines.js'
import { findKnown } from './known-file.js'
import { createTextReader } from './line-text.js'
import type { LogSource } from './log-source.js'
import { headsOf, readBeginning } from './read-head.js'
import type { Requests } from './requests.js'

export type ImportDeps<What, Who> = {
  database: Pick<Database, 'jobs'>
  registry: string
  /** The key of the hashes of lines. */
  key: string
  given: GivenNames
  options: Pick<ReaderOptions, 'timeZone' | 'fields'>
  createRequests: () => Requests<What, Who>
  now: () => Date
  /** The largest weight of the requests of one transaction. */
  mostWeight?: number
  /** Called from time to time with the number of lines of the file that were read. */
  onProgress?: (lines: number) => void
}

/** What was imported of a file. */
export type Imported = {
  format: string
  /** Lines that were imported before, by this or an earlier import. */
  before: number
  lines: number
  counts: FileCounts
  /** Why the log was not read to its end. What came before is imported, and a later import goes on there. */
  problem?: FileError
}

/** The file is not imported; the message says what to do. */
export class ImportRefused extends UserError {
  override readonly kind = 'invalid'
  constructor(
    name: string,
    /** The sentence without the name. */
    readonly reason: string,
  ) {
    super(`${name}: ${reason}`)
  }
}

/** There is nothing to import yet. */
export class EmptyLog extends ImportRefused {
  constructor(name: string) {
    super(name, 'contains no complete line')
  }
}

/**
 * Imports what was not imported yet of a file. A file is recognized by its lines: under another name, compressed, or grown, it goes on
 * where it ended. The requests and the progress of a portion are stored in one transaction, so an import that is interrupted goes on,
 * too, and two processes may import the same file.
 * @throws EmptyLog; ImportRefused if its format is not known; FileError if nothing of it can be read
 */
export const importFile = async <What, Who>(source: LogSource, deps: ImportDeps<What, Who>): Promise<Imported> => {
  const { database, registry, key, given, options, now } = deps
  for (;;) {
    const beginning = await readBeginning(source, key)
    if (beginning.lines.length === 0) throw new EmptyLog(source.name)
    const recognized = recognize(beginning.lines, given)
    if ('refusal' in recognized) throw new ImportRefused(source.name, recognized.refusal)
    const readerOptions = { ...options, notAfter: now().getTime() * 1_000 }
    const heads = headsOf(beginning, requestsIn(recognized, readerOptions))
    const candidates = await filesWith(database.jobs, registry, heads)
    const known = await findKnown(source, candidates, key)
    const start = { recognized: asBefore(known.file) ?? recognized, heads, candidates, known }
    const imported = await importLines(source, { ...deps, options: readerOptions }, start)
    if (imported) return imported
  }
}

/** A file that goes on has the format that its first lines had. */
const asBefore = (file: LogFile | undefined): Recognized | undefined => {
  const format = LOG_FORMATS.find(({ name }) => name === file?.format)
  const wrapper = WRAPPERS.find((name) => name === file?.wrapper)
  return format && { format, ...(wrapper !== undefined && { wrapper }) }
}

/** @returns a function that is called with each line in order, and returns whether the line is a request */
const requestsIn = (
  { format, wrapper }: Recognized,
  options: ReaderOptions & { notAfter: Micros },
): ((line: string) => boolean) => {
  const readText = createTextReader(format, wrapper, options)
  return (line) => readText(line)?.requester !== undefined
}
