import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isNativeError } from 'node:util/types'
import { FileError, fileProblem } from '../runtime/file-error.js'
import type { Column } from './columns.js'
import { FORMATS } from './formats.js'
import type { FormatName, RowWriter } from './row-writer.js'

/** A file that gets its name when it is complete. */
export type PartitionFile = {
  path: string
  add: RowWriter['add']
  /** Puts the file in its place, also after a power cut. @returns its size in bytes @throws FileError */
  finish: () => Promise<number>
  /** Removes what was written. */
  discard: () => Promise<void>
}

/**
 * Begins a file that only its owner may read, and creates its directory. An existing file keeps its content until the new one is
 * complete.
 * @throws FileError
 */
export const createPartitionFile = async (
  path: string,
  format: FormatName,
  columns: readonly Column[],
): Promise<PartitionFile> => {
  const directory = dirname(path)
  // Readers skip names that begin with a dot.
  const draft = join(directory, `.${process.pid}.${FILE_NAME}.part`)
  const handle = await orFileError(path, async () => {
    await makeDirectory(directory)
    await rm(draft, { force: true })
    return open(draft, 'wx', 0o600)
  })
  let size = 0
  const rows = FORMATS[format](columns, async (bytes) => {
    const written = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    size += written.byteLength
    await handle.appendFile(written)
  })
  return {
    path,
    add: async (more) => orFileError(path, async () => rows.add(more)),
    finish: async () =>
      orFileError(path, async () => {
        await rows.end()
        await handle.sync()
        await handle.close()
        await rename(draft, path)
        for (const changed of [directory, dirname(directory)]) await syncDirectory(changed)
        return size
      }),
    discard: async () => {
      await closed(handle)
      await rm(draft, { force: true }).catch(() => undefined)
    },
  }
}

/** The name of the only file of a partition, without its ending. */
const FILE_NAME = 'part-0'

/** The path of the file of a day, in the layout of Hive, for example `exports/requests/day=2026-11-30/part-0.parquet`. */
export const partitionPath = (
  directory: string,
  table: string,
  { day, format }: { day: string; format: FormatName },
): string => join(directory, table, `day=${day}`, `${FILE_NAME}.${format}`)

/** Creates a directory and those above it. `mkdir` of Node.js with `recursive` never ends in a file system that refuses names, as /proc. */
const makeDirectory = async (path: string): Promise<void> => {
  try {
    await mkdir(path)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || dirname(path) === path) throw error
    await makeDirectory(dirname(path))
    await mkdir(path)
  }
}

const codeOf = (error: unknown): string | undefined =>
  isNativeError(error) && 'code' in error ? String(error.code) : undefined

/** Stores the names in a directory on the disk. */
const syncDirectory = async (directory: string): Promise<void> => {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const closed = async (handle: FileHandle): Promise<void> => handle.close().catch(() => undefined)

const orFileError = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    const problem = fileProblem(error)
    if (problem === undefined) throw error
    throw new FileError(path, `cannot be written: ${problem}`, codeOf(error))
  }
}
