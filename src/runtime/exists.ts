import { statSync } from 'node:fs'
import { FileError, fileProblem } from './file-error.js'

/**
 * Whether a file or directory exists. Unlike `existsSync`, a path that this user may not look at is not taken for a missing one.
 * @throws FileError for every other reason than a missing path, as EACCES
 */
export const exists = (path: string): boolean => {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOTDIR') return false
    throw new FileError(path, `cannot be used: ${fileProblem(error) ?? code ?? 'unknown error'}`, code)
  }
}
