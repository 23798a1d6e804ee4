import { execFile } from 'node:child_process'
import { constants, mkdirSync, readdirSync, renameSync, rmSync, statSync, type Dirent, type Stats } from 'node:fs'
import { chmod, copyFile, rm, statfs } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type DumpDeps = {
  /** The directory of the database. */
  data: string
  /** The directory of dumps. */
  dumps: string
  /**
   * Runs work while no statement is executed and all that was committed is in the files.
   * @param work is given the name of the only segment of the log that the files need.
   */
  atRest: (work: (segment: string) => Promise<void>) => Promise<void>
}

/** A file whose last change is so young may have changed again without a newer time. */
const YOUNG_MS = 2_000
/** Files that are copied at once. */
const AT_ONCE = 64
/** Free space that a dump leaves to the database, which fails without any. */
const RESERVE_BYTES = 64 * 2 ** 20

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
    await checkSpace(data, dumps)
    await copyDatabase(deps, copy)
    await run('tar', ['-czf', packed, '-C', copy, '.'])
    await chmod(packed, 0o600)
    renameSync(packed, file)
  } finally {
    await Promise.all([packed, copy].map(async (path) => rm(path, { recursive: true, force: true })))
  }
  for (const old of dumpsIn(dumps).slice(0, -keep)) rmSync(join(dumps, old))
  return file
}

/** A copy and its archive, which may be as large, must not fill the disk. */
const checkSpace = async (data: string, dumps: string): Promise<void> => {
  const size = [...filesOf(data).values()].reduce((sum, { size: bytes }) => sum + bytes, 0)
  const { bavail, bsize } = await statfs(dumps)
  const needed = 2 * size + RESERVE_BYTES
  if (bavail * bsize >= needed) return
  const mebibytes = (bytes: number): number => Math.round(bytes / 2 ** 20)
  throw new Error(
    `there is no space for a dump in ${dumps}: it needs up to ${mebibytes(needed)} MiB, and ${mebibytes(bavail * bsize)} MiB are free`,
  )
}

const copyDatabase = async ({ data, atRest }: DumpDeps, copy: string): Promise<void> => {
  const files = filesOf(data)
  const copied = new Map([...files].filter(([path, stats]) => !isLog(path) && !isYoung(stats)))
  await copyFiles(data, copy, [...copied.keys()])
  await atRest(async (segment) => {
    const now = filesOf(data)
    const isCopied = (path: string, { mtimeMs, size }: Stats): boolean => {
      const known = copied.get(path)
      return known?.mtimeMs === mtimeMs && known.size === size
    }
    const isWanted = (path: string): boolean => !isLog(path) || path.endsWith(`${sep}${segment}`)
    const left = [...now].filter(([path, stats]) => isWanted(path) && !isCopied(path, stats)).map(([path]) => path)
    await copyFiles(data, copy, left)
    for (const path of filesOf(copy).keys()) if (!now.has(path)) rmSync(join(copy, path))
  })
}

/** Segments of the write-ahead log: after a checkpoint all but one are of no use. */
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
