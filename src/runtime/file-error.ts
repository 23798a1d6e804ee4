import { isNativeError } from 'node:util/types'
import { UserError } from './user-error.js'

/** The meaning of the operating system's error codes for a file, and what to do. */
const MEANINGS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory; check the path',
  EACCES: 'permission denied; check its owner and mode, and the modes of the directories above it',
  EPERM: 'the operation is not permitted; check its owner, mode and attributes',
  EROFS: 'the file system is read-only; mount it for writing, or name another path',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'it would be larger than a file may be',
  ENOTDIR: 'a part of the path is a file and not a directory; check the path',
  EISDIR: 'it is a directory, expected a file',
  EEXIST: 'a file with this name exists already',
  ENOTEMPTY: 'the directory is not empty',
  ELOOP: 'the path has too many symbolic links; look for a link that leads to itself',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'this process has too many open files; raise the limit (ulimit -n)',
  ENFILE: 'the system has too many open files',
  ENXIO: 'it is a socket, or a device that is not there',
  EBUSY: 'it is in use',
  EXDEV: 'the two paths are on different file systems',
  EIO: 'the disk reported an error',
  ESTALE: 'the network file system no longer knows it; mount it again',
  ERR_INVALID_ARG_VALUE: 'the path contains a NUL character',
}

/** A file or a directory cannot be used. The message is a sentence: the path, the reason, and what to do. */
export class FileError extends UserError {
  override readonly kind = 'setup'
  constructor(
    readonly path: string,
    /** The sentence without the path. */
    readonly reason: string,
    /** The error code of the operating system, for example ENOENT; `undefined` for a file that is too large, or no text. */
    readonly code?: string,
  ) {
    super(`${path} ${reason}`)
  }
}

/** The reason for an error of `node:fs`, as text; undefined for other errors. */
export const fileProblem = (error: unknown): string | undefined => {
  const code = isNativeError(error) && 'code' in error ? String(error.code) : ''
  return MEANINGS[code] === undefined ? undefined : `${MEANINGS[code]} (${code})`
}

/** The message for an unhandled error of `node:fs`; undefined for other errors, for example errors of sockets. */
export const fileSentence = (error: unknown): string | undefined => {
  if (!isNativeError(error)) return undefined
  const problem = fileProblem(error)
  if (problem === undefined) return undefined
  if ('path' in error && typeof error.path === 'string') return `${error.path} cannot be used: ${problem}`
  return /\((?:EMFILE|ENFILE|ENOSPC|EROFS)\)$/.test(problem) ? problem : undefined
}
