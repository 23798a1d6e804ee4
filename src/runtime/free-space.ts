import { statfsSync } from 'node:fs'

/** Free space that other work leaves to the embedded database, which fails without any. */
export const RESERVE_BYTES = 64 * 2 ** 20

/** Bytes of the file system of a directory that this process may write. */
export const freeBytes = (directory: string): number => {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}

/** Whether so many bytes can be written beside a directory's files without harm to the embedded database. */
export type HasSpace = (bytes: number) => boolean

export const hasSpaceIn =
  (directory: string): HasSpace =>
  (bytes) =>
    freeBytes(directory) >= bytes + RESERVE_BYTES
