import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'
import { FileError, fileProblem } from './file-error.js'

/** A pipe must begin and end within this time: its writer already runs, for example in `<(command)`. */
const PIPE_PATIENCE_MS = 5_000
const PIPE_POLL_MS = 10
const CHUNK_BYTES = 65_536
/** The size limit of a device or a pipe, even if a file may be larger. */
const LARGEST_STREAM = 64 * 1_048_576

export type ReadLimits = {
  /** The size limit of the file in bytes. */
  bytes: number
  /** Milliseconds to wait for the end of a pipe. */
  patience?: number
}

/**
 * Reads a file that an operator named. A device without an end, a pipe that stays open and a file that is too large give an error.
 * So the process neither hangs nor runs out of memory.
 * @throws FileError
 */
export const readBoundedFile = (path: string, limits: ReadLimits): Buffer => {
  let file
  try {
    // Otherwise opening a pipe without a writer would block.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    return readAll(file, path, limits)
  } catch (error) {
    if (error instanceof FileError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new FileError(path, `cannot be read: ${fileProblem(error) ?? code ?? 'unknown error'}`, code)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/**
 * Reads a file as text in UTF-8, as `readBoundedFile` does. A file with a NUL is refused: after a crash, the blocks of a file that was
 * being written or destroyed may be NULs, and they must not be used as a secret.
 * @throws FileError
 */
export const readTextFile = (path: string, limits: ReadLimits): string => {
  const bytes = readBoundedFile(path, limits)
  if (bytes.includes(0))
    throw new FileError(
      path,
      'contains NUL bytes: it is in UTF-16, or was not written completely; expected text in UTF-8, so restore it or write it again',
    )
  return bytes.toString('utf8')
}

const readAll = (file: number, path: string, { bytes, patience = PIPE_PATIENCE_MS }: ReadLimits): Buffer => {
  const stats = fstatSync(file)
  const most = stats.isFile() ? bytes : Math.min(bytes, LARGEST_STREAM)
  const chunks: Buffer[] = []
  let length = 0
  let waited = 0
  for (;;) {
    if (length > most || (stats.isFile() && stats.size > most))
      throw new FileError(path, `is larger than ${most} bytes`)
    const chunk = Buffer.allocUnsafe(Math.max(stats.size + 1 - length, CHUNK_BYTES))
    const read = readSome(file, chunk, stats)
    if (read === 0 && (length > 0 || !stats.isFIFO())) return joined(chunks)
    if (read > 0) {
      chunks.push(chunk.subarray(0, read))
      length += read
      continue
    }
    if (waited >= patience)
      throw new FileError(
        path,
        `cannot be read: it is a pipe or a terminal that sent nothing, or did not end, for ${patience} ms`,
      )
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PIPE_POLL_MS)
    waited += PIPE_POLL_MS
  }
}

/** Joins chunks. A large file is one chunk, which is not copied. */
const joined = (chunks: readonly Buffer[]): Buffer => {
  const [only] = chunks
  return only && chunks.length === 1 ? only : Buffer.concat(chunks)
}

/** @returns the number of bytes read; 0 at the end; -1 if a pipe or a terminal has no bytes yet */
const readSome = (file: number, chunk: Buffer, stats: Stats): number => {
  try {
    return readSync(file, chunk)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN' && !stats.isFile()) return -1
    throw error
  }
}
