import { execFile } from 'node:child_process'
import { constants, mkdirSync, readdirSync, renameSync, rmSync, statSync, type Dirent, type Stats } from 'node:fs'
import { chmod, copyFile, rm } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { freeBytes, RESERVE_BYTES } from './free-space.js'

const run = promisify(execFile)

/** The names of the first and the last segment of a part of the write-ahead log. */
export type LogRange = { first: string; last: string }

/** The disk is too full for a dump. */
export class NoSpaceForDump extends Error {
  override readonly name = 'NoSpaceForDump'
}

export type DumpDeps = {
  /** The directory of the database. */
  data: string
  /** The directory of dumps. */
  dumps: string
  /**
   * Runs work while no statement is executed and all that was committed is in the files.
   * @param work is given the segments of the log that the files need.
   */
  atRest: (work: (log: LogRange) => Promise<void>) => Promise<void>
}

/** A file whose last change is so young may have changed again without a newer time. */
const YOUNG_MS = 2_000
/** Files that are copied at once. */
const AT_ONCE = 64

/** The names of the dumps in a folder, the oldest first: each is named after its day. */
export const dumpsIn = (dumps: string): string[] =>
  readdirSync(dumps)
    .filter((entry) => entry.endsWith('.tar.gz'))
    .sort()

/**
 * Writes `<name>.tar.gz` with the files of the database, and removes all but the newest `keep` dumps. The files are copied while
 * the database works, and those that changed meanwhile once more while it rests, so it rests briefly. A copy on a file system
 * with reflinks takes no space. The copy is packed by another process, so memory does not grow with the database.
 * @returns the path of the dump.
 */
export const writeDump = async (deps: DumpDeps, name: string, keep: number): Promise<string> => {
  const { data, dumps } = deps
  mkdirSync(dumps, { recursive: true, mode: 0o700 })
  for (const left of readdirSync(dumps).filter((entry) => entry.endsWith('.part')))
    rmSync(join(dumps, left), { recursive: true, force: true })
  const file = join(dumps, `${name}.tar.gz`)
  const [packed, copy] = [`${file}.part`, join(dumps, `${name}.copy.part`)]
  try {
    checkSpace(data, dumps)
    await copyDatabase(deps, copy)
    await run('tar', ['-czf', packed, '-C', copy, '.'])
    await chmod(packed, 0o600)
    renameSync(packed, file)
  } catch (error) {
    throw isDiskFull(error) ? new NoSpaceForDump(`${dumps} is full: a dump cannot be written`, { cause: error }) : error
  } finally {
    await Promise.all([packed, copy].map(async (path) => rm(path, { recursive: true, force: true })))
  }
  for (const old of dumpsIn(dumps).slice(0, -keep)) rmSync(join(dumps, old))
  return file
}

/** A copy and its archive, which may be as large, must not fill the disk. */
const checkSpace = (data: string, dumps: string): void => {
  const size = [...filesOf(data).values()].reduce((sum, { size: bytes }) => sum + bytes, 0)
  const needed = 2 * size + RESERVE_BYTES
  const free = freeBytes(dumps)
  if (free >= needed) return
  const mebibytes = (bytes: number): number => Math.round(bytes / 2 ** 20)
  throw new NoSpaceForDump(
    `there is no space for a dump in ${dumps}: it needs up to ${mebibytes(needed)} MiB, and ${mebibytes(free)} MiB are free`,
  )
}

const isDiskFull = (error: unknown): boolean => {
  const { code, stderr } = error as { code?: unknown; stderr?: string }
  return code === 'ENOSPC' || (stderr ?? '').includes('No space left on device')
}

const copyDatabase = async ({ data, atRest }: DumpDeps, copy: string): Promise<void> => {
  const files = filesOf(data)
  const copied = new Map([...files].filter(([path, stats]) => !isLog(path) && !isYoung(stats)))
  await copyFiles(data, copy, [...copied.keys()])
  await atRest(async ({ first, last }) => {
    const now = filesOf(data)
    const isCopied = (path: string, { mtimeMs, size }: Stats): boolean => {
      const known = copied.get(path)
      return known?.mtimeMs === mtimeMs && known.size === size
    }
    // The record of the checkpoint may be in a later segment than the place from which the log is replayed.
    const isWanted = (path: string): boolean => {
      const segment = path.slice(path.lastIndexOf(sep) + 1)
      return !isLog(path) || (segment >= first && segment <= last)
    }
    const left = [...now].filter(([path, stats]) => isWanted(path) && !isCopied(path, stats)).map(([path]) => path)
    await copyFiles(data, copy, left)
    for (const path of filesOf(copy).keys()) if (!now.has(path)) rmSync(join(copy, path))
  })
}

/** Segments of the write-ahead log. */
const isLog = (path: string): boolean => /^pg_wal[\\/][0-9A-F]{24}$/.test(path)
const isYoung = ({ mtimeMs }: Stats): boolean => Date.now() - mtimeMs < YOUNG_MS

/** Copies files, and makes all directories, as PostgreSQL wants those without files, too. */
const copyFiles = async (from: string, to: string, paths: readonly string[]): Promise<void> => {
  for (const directory of ['.', ...directoriesOf(from)])
    mkdirSync(join(to, directory), { recursive: true, mode: 0o700 })
  for (let i = 0; i < paths.length; i += AT_ONCE) {
    const some = paths.slice(i, i + AT_ONCE)
    await Promise.all(
      // A table may be dropped meanwhile.
      some.map(async (path) =>
        copyFile(join(from, path), join(to, path), constants.COPYFILE_FICLONE).catch(ignoreMissing),
      ),
    )
  }
}

const ignoreMissing = (error: unknown): void => {
  if ((error as { code?: unknown }).code !== 'ENOENT') throw error
}

const entriesOf = (directory: string): { path: string; entry: Dirent }[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true }).map((entry) => ({
    path: relative(directory, join(entry.parentPath, entry.name)),
    entry,
  }))

/** The files below a directory by their paths in it. At once: a turn of the event loop for each would take seconds under load. */
const filesOf = (directory: string): Map<string, Stats> =>
  new Map(
    entriesOf(directory)
      .filter(({ entry }) => entry.isFile())
      .map(({ path }) => [path, statSync(join(directory, path))]),
  )

const directoriesOf = (directory: string): string[] =>
  entriesOf(directory)
    .filter(({ entry }) => entry.isDirectory())
    .map(({ path }) => path)
