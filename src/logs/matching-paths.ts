import type { Dirent } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import picomatch from 'picomatch'
import { FileError } from '../runtime/file-error.js'
import { sortedEntries, type LeftOut } from './walk-folder.js'

/** Whether a path contains `*`, `?`, `[…]` or `{…}` as a pattern. */
export const isPattern = (path: string): boolean => picomatch.scan(path, SCAN).isGlob

/** A `!` at the beginning and parentheses are parts of names. */
const SCAN = { nonegate: true, noparen: true }
const MATCH = { nonegate: true, noextglob: true }

type Pattern = {
  matches: (path: string) => boolean
  /** What the folders at the beginning of a path must match. */
  folders: ((name: string) => boolean)[]
  /** Whether a path may have more folders than those. */
  isDeep: boolean
}

/**
 * The files and folders that match a pattern, sorted by name. `*` matches no hidden names, and `**` follows no links to folders. What
 * lies below a folder that matches does not come by itself. A folder that cannot be read comes as `unreadable`.
 */
export async function* matchingPaths(pattern: string, most: number): AsyncGenerator<string | LeftOut> {
  const { base, glob } = picomatch.scan(pattern, SCAN)
  const parts = glob.split('/')
  const firstDeep = parts.findIndex((part) => /\*\*|[{}]/.test(part))
  const folders = (firstDeep === -1 ? parts.slice(0, -1) : parts.slice(0, firstDeep)).map((part) =>
    picomatch(part, MATCH),
  )
  yield* below(base, '', 0, { matches: picomatch(glob, MATCH), folders, isDeep: firstDeep !== -1 }, most)
}

async function* below(
  folder: string,
  prefix: string,
  depth: number,
  pattern: Pattern,
  most: number,
): AsyncGenerator<string | LeftOut> {
  const { matches, folders, isDeep } = pattern
  const goesOn = (name: string): boolean => folders[depth]?.(name) ?? (isDeep && !name.startsWith('.'))
  const isWanted = (name: string): boolean => matches(prefix + name) || goesOn(name)
  let entries
  try {
    entries = await sortedEntries(folder === '' ? '.' : folder, most, isWanted)
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    yield { kind: 'unreadable', path: error.path, reason: error.reason }
    return
  }
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (matches(prefix + entry.name)) yield path
    else if (await isFolder(entry, path, depth < folders.length))
      yield* below(path, `${prefix}${entry.name}/`, depth + 1, pattern, most)
  }
}

const isFolder = async (entry: Dirent, path: string, followsLinks: boolean): Promise<boolean> => {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  return followsLinks && (await stat(path).catch(() => undefined))?.isDirectory() === true
}
