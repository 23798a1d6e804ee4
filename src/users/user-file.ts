import { readFileSync, statSync, unwatchFile, watchFile } from 'node:fs'
import { parse as parseCsv } from 'csv-parse/sync'
import { parse as parseYaml } from 'yaml'
import { comparable, type UserDirectory } from './directory.js'

/** The file cannot be used. The message names the file and the line or key. */
export class UserFileError extends Error {}

const LARGEST_FILE = 64 * 1024 * 1024
const LOOK_EVERY_MS = 2_000

/**
 * Takes ids from a file of names: YAML (`alice: 17`) or CSV (`alice,17`, with or without the heading `name,id`).
 * Read again when it changes; a file that became unreadable is reported and the ids of before stay.
 * @throws UserFileError at the first reading.
 */
export const createUserFile = (file: string, onProblem: (error: Error) => void): UserDirectory => {
  let ids = readUserFile(file)
  const reload = (): void => {
    try {
      ids = readUserFile(file)
    } catch (error) {
      onProblem(error as Error)
    }
  }
  watchFile(file, { interval: LOOK_EVERY_MS, persistent: false }, reload)
  return {
    kind: 'file',
    idOf: (name) => ids.get(comparable(name)),
    close: () => {
      unwatchFile(file, reload)
    },
  }
}

const readUserFile = (file: string): Map<string, string> => {
  const ids = new Map<string, string>()
  for (const [name, id] of entriesOf(file)) {
    const compared = comparable(name)
    if (ids.has(compared) && ids.get(compared) !== id) {
      throw new UserFileError(`${file}: the name "${name}" has two ids (names compare without case)`)
    }
    ids.set(compared, id)
  }
  return ids
}

const entriesOf = (file: string): [name: string, id: string][] => {
  let source
  try {
    if (statSync(file).size > LARGEST_FILE) throw new UserFileError(`${file}: larger than ${LARGEST_FILE} bytes`)
    source = readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof UserFileError) throw error
    throw new UserFileError(`${file}: cannot be read; check the path and its permissions`)
  }
  return /\.csv$/i.test(file) ? csvEntries(file, source) : yamlEntries(file, source)
}

const csvEntries = (file: string, source: string): [string, string][] => {
  let rows: string[][]
  try {
    rows = parseCsv(source, { bom: true, trim: true, skip_empty_lines: true, relax_column_count: true })
  } catch (error) {
    throw new UserFileError(`${file}: not CSV: ${error instanceof Error ? error.message : ''}`)
  }
  const [first] = rows
  const body = first?.[0]?.toLowerCase() === 'name' && first[1]?.toLowerCase() === 'id' ? rows.slice(1) : rows
  return body.map(([name, id], i) => {
    if (!name || !id) throw new UserFileError(`${file}: row ${i + 1 + (rows.length - body.length)} is not "name,id"`)
    return [name, id]
  })
}

const yamlEntries = (file: string, source: string): [string, string][] => {
  let document: unknown
  try {
    document = parseYaml(source)
  } catch (error) {
    throw new UserFileError(`${file}: not YAML: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''}`)
  }
  if (document === null || document === undefined) return []
  if (typeof document !== 'object' || Array.isArray(document))
    throw new UserFileError(`${file}: expected a map "name: id"`)
  return Object.entries(document).map(([name, id]) => {
    if (typeof id !== 'string' && typeof id !== 'number')
      throw new UserFileError(`${file}: the id of "${name}" is no text or number`)
    return [name, String(id)]
  })
}
