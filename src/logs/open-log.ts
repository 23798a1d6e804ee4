import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { FileError, fileProblem } from '../runtime/file-error.js'
import { decompress } from './decompress.js'

const CHUNK = 1024 * 1024

/**
 * Opens a regular file, without waiting for the writer of a FIFO.
 * @throws FileError if it cannot be opened
 */
export const openFile = async (path: string): Promise<FileHandle> => {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new FileError(path, `cannot be read: ${fileProblem(error) ?? code ?? 'unknown error'}`, code)
  }
}

/** Reads a file from its beginning, decompressed. @throws as `decompress`; FileError if the file cannot be opened */
export const openLog = async (path: string): Promise<Readable> =>
  decompress(closedAfter(await openFile(path), path), path)

async function* closedAfter(file: FileHandle, path: string): AsyncGenerator<Buffer> {
  try {
    yield* bytesOf(file, path)
  } finally {
    await file.close()
  }
}

/** Reads an open file from its beginning. @throws FileError if it becomes shorter meanwhile, and the errors of the file system */
export async function* bytesOf(file: FileHandle, name: string): AsyncGenerator<Buffer> {
  let position = 0
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, position)
    if (bytesRead === 0) break
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
  if ((await file.stat()).size < position)
    throw new FileError(
      name,
      'became shorter while it was read, as a log does that is rotated in place: import it again',
    )
}
