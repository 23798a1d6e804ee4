import type { Dirent } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FileError, fileProblem } from '../runtime/file-error.js'
import { reasonAgainst } from './other-files.js'

/** A path that is not imported: because it is no log (`left_out`), or because it cannot be read although it may be one. */
export type LeftOut = { kind: 'left_out' | 'unreadable'; path: string; reason: string }

/**
 * The entries of a folder, sorted by name (by UTF-16 code units, so in every locale alike).
 * @param isWanted is asked for each name; the rest needs no memory
 * @param most the largest number of entries
 * @throws FileError
 */
export const sortedEntries = async (
  folder: string,
  most: number,
  isWanted: (name: string) => boolean = () => true,
): Promise<Dirent[]> => {
  const entries: Dirent[] = []
  try {
    for await (const entry of await opendir(folder)) {
      if (!isWanted(entry.name)) continue
      if (entries.length >= most)
        throw new FileError(
          folder,
          `contains more than ${most} entries: import it in parts, with patterns like "${folder}/a*"`,
        )
      entries.push(entry)
    }
  } catch (error) {
    if (error instanceof FileError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new FileError(folder, `cannot be read: ${fileProblem(error) ?? code ?? 'unknown error'}`, code)
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * The files below a folder, sorted by name. Links to files are followed. Links to folders are not: they may lead around in a circle, or
 * out of the folder.
 */
export async function* walkFolder(
  folder: string,
  most: number,
): AsyncGenerator<{ kind: 'file'; path: string } | LeftOut> {
  let entries
  try {
    entries = await sortedEntries(folder, most)
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    yield { kind: 'unreadable', path: folder, reason: error.reason }
    return
  }
  for (const entry of entries) {
    const path = join(folder, entry.name)
    const reason = entry.isDirectory()
      ? hiddenReason(entry.name)
      : ((await linkReason(entry, path)) ?? reasonAgainst(entry.name))
    if (reason !== undefined) yield { kind: 'left_out', path, reason }
    else if (entry.isDirectory()) yield* walkFolder(path, most)
    else if (entry.isFile() || entry.isSymbolicLink()) yield { kind: 'file', path }
    else yield { kind: 'left_out', path, reason: 'is a named pipe, a socket or a device' }
  }
}

const hiddenReason = (name: string): string | undefined => (name.startsWith('.') ? 'is hidden' : undefined)

const linkReason = async (entry: Dirent, path: string): Promise<string | undefined> => {
  if (!entry.isSymbolicLink()) return undefined
  const target = await stat(path).catch(() => undefined)
  if (target?.isDirectory() === true) return 'is a link to a folder: name the folder to import it'
  return target && !target.isFile() ? 'is a link to a named pipe, a socket or a device' : undefined
}
