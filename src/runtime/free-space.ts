import { statfsSync } from 'node:fs'

/** Free space that other work must leave for the embedded database, which fails without free space. */
export const RESERVE_BYTES = 64 * 2 ** 20

/** The free bytes for this process on the file system of a directory. */
export const freeBytes = (directory: string): number => {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}

/** Whether so many bytes can be written to the file system without taking the reserve of the embedded database. */
export type HasSpace = (bytes: number) => boolean

export const hasSpaceIn =
  (directory: string): HasSpace =>
  (bytes) =>
    freeBytes(directory) >= bytes + RESERVE_BYTES
