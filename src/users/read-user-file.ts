import { parse as parseCsv } from 'csv-parse/sync'
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { FileError } from '../runtime/file-error.js'
import { readTextFile } from '../runtime/read-file.js'
import { comparable } from './directory.js'
import { UserError } from '../runtime/user-error.js'

/** The file cannot be used. The message names the file and the line or key. */
export class UserFileError extends UserError {
  override readonly kind = 'setup'
}

/** The id of each name. Names are in the form in which they are compared. */
export type UserIds = ReadonlyMap<string, string>

/** Bytes. */
const LARGEST_FILE = 64 * 1_048_576

/**
 * Reads a file of names: YAML (`alice: 17`) or CSV (`alice,17`, with or without the heading `name,id`). A large file takes seconds, so
 * the service reads in a thread (`user-file-thread.ts`).
 * @throws UserFileError
 */
export const readUserFile = (file: string): UserIds => {
  const { entries, positionOf } = entriesOf(file)
  const ids = new Map<string, string>()
  entries.forEach(([name, id], i) => {
    const compared = comparable(name)
    if (ids.has(compared) && ids.get(compared) !== id) {
      const first = positionOf(entries.findIndex(([other]) => comparable(other) === compared))
      throw new UserFileError(
        `${file}: ${positionOf(i)} gives the name of ${first} another id (names compare without case)`,
      )
    }
    ids.set(compared, id)
  })
  return ids
}

/** The entries of a file, and their positions. Errors contain the position, because a name must not be logged. */
type Entries = { entries: [name: string, id: string][]; positionOf: (entry: number) => string }

const entriesOf = (file: string): Entries => {
  let source
  try {
    source = readTextFile(file, { bytes: LARGEST_FILE })
  } catch (error) {
    if (error instanceof FileError) throw new UserFileError(`${file}: ${error.reason}`)
    throw error
  }
  return /\.csv$/i.test(file) ? csvEntries(file, source) : yamlEntries(file, source)
}

const csvEntries = (file: string, source: string): Entries => {
  let rows: string[][]
  try {
    rows = parseCsv(source, { bom: true, trim: true, skip_empty_lines: true, relax_column_count: true })
  } catch (error) {
    throw new UserFileError(`${file}: not CSV at line ${String((error as { lines?: number }).lines)}`)
  }
  const [first] = rows
  const body = first?.[0]?.toLowerCase() === 'name' && first[1]?.toLowerCase() === 'id' ? rows.slice(1) : rows
  const positionOf = (entry: number): string => `row ${entry + 1 + (rows.length - body.length)}`
  const entries = body.map(([name, id], i): [string, string] => {
    if (!name || !id) throw new UserFileError(`${file}: ${positionOf(i)} is not "name,id"`)
    return [name, id]
  })
  return { entries, positionOf }
}

const yamlEntries = (file: string, source: string): Entries => {
  const lines = new LineCounter()
  // Names are compared below, in one pass: the parser would compare each with all others.
  const document = parseDocument(source, { lineCounter: lines, uniqueKeys: false })
  const [broken] = document.errors
  if (broken) throw new UserFileError(`${file}: not YAML at line ${lines.linePos(broken.pos[0]).line}`)
  if (document.contents === null) return { entries: [], positionOf: () => file }
  if (!isMap(document.contents)) throw new UserFileError(`${file}: expected a map "name: id"`)
  const { items } = document.contents
  const positionOf = (entry: number): string => `line ${lines.linePos(items[entry]?.key.range[0] ?? 0).line}`
  const entries = items.map(({ key, value }, i): [string, string] => {
    if (isScalar(key) && isScalar(value) && (typeof value.value === 'string' || typeof value.value === 'number')) {
      // The source text, because the user 007 is not 7, and 1e5 is not 100000.
      return [key.source, value.source]
    }
    throw new UserFileError(`${file}: ${positionOf(i)} is not "name: id"`)
  })
  return { entries, positionOf }
}
