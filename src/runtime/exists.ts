import { statSync } from 'node:fs'
import { FileError, fileProblem } from './file-error.js'

/**
 * Whether a file or directory exists. Unlike `existsSync`, it does not treat an inaccessible path as missing.
 * @throws FileError for every other reason than a missing path, for example EACCES
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
