import { execFile } from 'node:child_process'
import {
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  type Dirent,
  type Stats,
} from 'node:fs'
import { chmod, copyFile, rm } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { dumpNames, findDumps } from './dump-files.js'
import type { DuringBackup } from './backup.js'
import { freeBytes, RESERVE_BYTES } from '../../runtime/free-space.js'

const run = promisify(execFile)

/** The disk is too full for a dump. */
export class NoSpaceForDump extends Error {
  override readonly name = 'NoSpaceForDump'
}

/** The source of a copy of the database. */
export type CopyDeps = {
  /** The directory of the database. */
  data: string
  duringBackup: DuringBackup
  /** Ends a copy between two files. */
  signal?: AbortSignal
}

/** How a copy is packed. */
type Packing = {
  /** Takes the arguments of `tar`. */
  program: string
  /** Milliseconds for a copy of so many bytes, after which the program is ended. */
  longestMs: (bytes: number) => number
}

/** With a tenth of a processor, "tar" packs more than 1 MiB a second. The limit is for a process that hangs. */
export const TAR: Packing = {
  program: 'tar',
  longestMs: (bytes) => 600_000 + Math.ceil(bytes / 2 ** 20) * 1000,
}

type DumpDeps = CopyDeps & {
  /** The directory of dumps. */
  dumps: string
  packing?: Packing
}

/** Attempts to copy: if a checkpoint during the copy removes segments of the log, the copy is repeated. */
const MOST_ATTEMPTS = 3
/** Files that are copied at once. */
const AT_ONCE = 64

/**
 * The file that PostgreSQL reads when it first starts from a copy, and then renames. Its modification time is the time of the state
 * in the copy.
 */
export const LABEL = 'backup_label'

/**
 * Writes a dump with the files of the database, and removes all but the newest `keep` dumps. The files are copied while
 * the database works. A copy on a file system with reflinks takes no space. Another process packs the copy, so memory does not grow
 * with the database. The modification time of the dump is the time of its state.
 * @param at names the dump; a dump of the same UTC day is replaced
 * @returns the path of the dump.
 */
export const writeDump = async (deps: DumpDeps, at: Date, keep: number): Promise<string> => {
  const { data, dumps } = deps
  mkdirSync(dumps, { recursive: true, mode: 0o700 })
  for (const left of findDumps(dumps, at).parts) rmSync(join(dumps, left), { recursive: true, force: true })
  const names = dumpNames(at)
  const [file, packed, copy] = [join(dumps, names.dump), join(dumps, names.packed), join(dumps, names.copy)]
  try {
    checkSpace(data, dumps)
    await copyDatabase(deps, copy)
    await pack(copy, packed, deps.packing ?? TAR)
    await chmod(packed, 0o600)
    const { mtime } = statSync(join(copy, LABEL))
    utimesSync(packed, mtime, mtime)
    renameSync(packed, file)
  } catch (error) {
    throw isDiskFull(error) ? new NoSpaceForDump(`${dumps} is full: a dump cannot be written`, { cause: error }) : error
  } finally {
    await Promise.all([packed, copy].map(async (path) => rm(path, { recursive: true, force: true })))
  }
  // The new dump is the last one of the list, whatever the days of the other dumps are.
  for (const old of findDumps(dumps, at).dumps.slice(0, -keep)) rmSync(join(dumps, old))
  return file
}

const pack = async (copy: string, packed: string, { program, longestMs }: Packing): Promise<void> => {
  const timeout = longestMs(sizeOfFiles(copy))
  try {
    await run(program, ['-czf', packed, '-C', copy, '.'], { timeout, killSignal: 'SIGKILL' })
  } catch (error) {
    if ((error as { killed?: boolean }).killed !== true) throw error
    throw new Error(`${program} was ended: it did not pack the dump within ${timeout / 1000} s`, { cause: error })
  }
}

/** A copy and its archive, which may be as large, must not fill the disk. */
const checkSpace = (data: string, dumps: string): void => {
  const needed = 2 * sizeOfFiles(data) + RESERVE_BYTES
  const free = freeBytes(dumps)
  if (free >= needed) return
  const mebibytes = (bytes: number): number => Math.round(bytes / 2 ** 20)
  throw new NoSpaceForDump(
    `there is no space for a dump in ${dumps}: it needs up to ${mebibytes(needed)} MiB, and ${mebibytes(free)} MiB are free`,
  )
}

/** Bytes of all files below a directory. */
export const sizeOfFiles = (directory: string): number =>
  [...filesOf(directory).values()].reduce((sum, { size }) => sum + size, 0)

const isDiskFull = (error: unknown): boolean => {
  const { code, stderr } = error as { code?: unknown; stderr?: string }
  return code === 'ENOSPC' || (stderr ?? '').includes('No space left on device')
}

/**
 * Copies the files of the database while it works, as an online backup of PostgreSQL: no statement waits for the copy.
 * @param copy the directory of the copy, from which PostgreSQL can start
 */
export const copyDatabase = async ({ data, duringBackup, signal }: CopyDeps, copy: string): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    const { first, last, label } = await duringBackup(async () => {
      rmSync(copy, { recursive: true, force: true })
      const files = [...filesOf(data).keys()].filter((path) => !isLog(path) && !isTransient(path))
      await copyFiles(data, copy, files, signal)
    })
    const log = [...filesOf(data).keys()].filter((path) => isLog(path) && isBetween(basename(path), first, last))
    await copyFiles(data, copy, log)
    writeFileSync(join(copy, LABEL), label, { mode: 0o600 })
    if (log.some((path) => basename(path) === first) && log.every((path) => existsSync(join(copy, path)))) return
    if (attempt === MOST_ATTEMPTS) throw new Error(`checkpoints removed the log during each of ${attempt} copies`)
  }
}

const isBetween = (segment: string, first: string, last: string): boolean => segment >= first && segment <= last

/** Segments of the write-ahead log. */
const isLog = (path: string): boolean => /^pg_wal[\\/][0-9A-F]{24}$/.test(path)

/** Files of the running process, caches and temporary files: PostgreSQL's own backup skips the same files. */
const isTransient = (path: string): boolean =>
  /^postmaster\.(?:pid|opts)$|(?:^|[\\/])(?:pg_internal\.init|pgsql_tmp)/.test(path)

/** Copies files, and creates all directories, because PostgreSQL also needs the empty ones. */
const copyFiles = async (from: string, to: string, paths: readonly string[], signal?: AbortSignal): Promise<void> => {
  for (const directory of ['.', ...directoriesOf(from)])
    mkdirSync(join(to, directory), { recursive: true, mode: 0o700 })
  for (let i = 0; i < paths.length; i += AT_ONCE) {
    signal?.throwIfAborted()
    const some = paths.slice(i, i + AT_ONCE)
    await Promise.all(
      // A table may be dropped during the copy.
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

/** The files below a directory, by relative path. Synchronous: under load, a turn of the event loop for each file takes seconds. */
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
