import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { FileError, fileProblem } from '../runtime/file-error.js'
import { compressionOf, LONGEST_MAGIC } from './compression.js'
import type { LogSource } from './log-source.js'
import { isPattern, matchingPaths } from './matching-paths.js'
import { openFile, openLog } from './open-log.js'
import { spoolInput } from './spool-input.js'
import { walkFolder, type LeftOut } from './walk-folder.js'

/** A log, or why a file is not imported. */
export type FoundLog = { kind: 'log'; source: LogSource } | LeftOut

type FindDeps = {
  /** Where `-` is read from. */
  input: Readable
  /** The largest number of files, and of entries in one folder. */
  most?: number
}

const MOST_FILES = 1_000_000
const INPUT = '-'

/**
 * Finds the logs that an operator named: files, folders with all that is below them, patterns like `logs/*.gz`, and `-` for standard
 * input. Files of a folder come in the order of their names; hidden files and known others are left out, and reported. Each file comes
 * once, also if two paths lead to it. A log of standard input can be read until the next one is asked for.
 * @throws FileError before the first log, if a path leads to nothing; later, if there are too many files
 */
export async function* findLogs(paths: readonly string[], deps: FindDeps): AsyncGenerator<FoundLog> {
  const { input, most = MOST_FILES } = deps
  for (const path of new Set(paths)) if (path !== INPUT) await requireMatch(path, most)
  const seen = new Set<string>()
  for (const path of new Set(paths)) {
    if (path === INPUT) yield* fromInput(input)
    else yield* once((await isThere(path)) ? fromPath(path, most) : fromPattern(path, most), { seen, most })
  }
}

async function* fromInput(input: Readable): AsyncGenerator<FoundLog> {
  const spooled = await spoolInput(input)
  try {
    yield { kind: 'log', source: spooled.source }
  } finally {
    await spooled.close()
  }
}

/** A file to look at, or an answer already. */
type Candidate = { kind: 'file'; path: string } | LeftOut

async function* fromPath(path: string, most: number): AsyncGenerator<Candidate> {
  const stats = await stat(path).catch(() => undefined)
  if (stats?.isDirectory() !== true) {
    yield { kind: 'file', path }
    return
  }
  let hasMore = false
  for await (const found of walkFolder(path, most)) {
    hasMore ||= found.kind !== 'left_out'
    yield found
  }
  if (!hasMore) yield { kind: 'unreadable', path, reason: 'contains no file that may be a log: check the path' }
}

async function* fromPattern(pattern: string, most: number): AsyncGenerator<Candidate> {
  for await (const match of matchingPaths(pattern, most)) {
    if (typeof match === 'string') yield* fromPath(match, most)
    else yield match
  }
}

/** Looks at each file, and leaves those out that came before. */
async function* once(
  candidates: AsyncIterable<Candidate>,
  { seen, most }: { seen: Set<string>; most: number },
): AsyncGenerator<FoundLog> {
  for await (const candidate of candidates) {
    if (candidate.kind !== 'file') {
      yield candidate
      continue
    }
    const { path } = candidate
    const looked = await look(path)
    if ('kind' in looked) yield looked
    else if (seen.has(looked.identity))
      yield { kind: 'left_out', path, reason: 'is a file that came before under another path' }
    else {
      if (seen.size >= most)
        throw new FileError(
          path,
          `follows ${most} other files, the most for one import: import the rest by another command`,
        )
      seen.add(looked.identity)
      yield looked.isEmpty
        ? { kind: 'left_out', path, reason: 'is empty' }
        : { kind: 'log', source: { name: path, open: async () => openLog(path), canGrow: looked.canGrow } }
    }
  }
}

type Looked = { identity: string; isEmpty: boolean; canGrow: boolean }

const look = async (path: string): Promise<Looked | LeftOut> => {
  try {
    // Before the file is opened: opening a device may have an effect.
    const kind = kindOf(await stat(path, { bigint: true }))
    if (kind !== undefined)
      return { kind: 'unreadable', path, reason: `is ${kind} and not a file: pipe its data to tallyman import -` }
    const file = await openFile(path)
    try {
      const { dev, ino, size } = await file.stat({ bigint: true })
      const { bytesRead, buffer } = await file.read(Buffer.alloc(LONGEST_MAGIC), 0, LONGEST_MAGIC, 0)
      const compression = compressionOf(buffer.subarray(0, bytesRead))
      const canGrow = 'reads' in compression && compression.reads === 'none'
      return { identity: `${dev}:${ino}`, isEmpty: size === 0n, canGrow }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof FileError) return { kind: 'unreadable', path, reason: error.reason }
    return { kind: 'unreadable', path, reason: `cannot be read: ${problemOf(error)}` }
  }
}

const problemOf = (error: unknown): string =>
  fileProblem(error) ?? (error as NodeJS.ErrnoException).code ?? 'unknown error'

const kindOf = (stats: BigIntStats): string | undefined => {
  if (stats.isFIFO()) return 'a named pipe'
  if (stats.isSocket()) return 'a socket'
  return stats.isFile() ? undefined : 'a device'
}

const isThere = async (path: string): Promise<boolean> => {
  try {
    await stat(path)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT'
  }
}

/** @throws FileError */
const requireMatch = async (path: string, most: number): Promise<void> => {
  if (await isThere(path)) return
  if (!isPattern(path))
    throw new FileError(path, 'cannot be read: there is no such file or folder; check the path', 'ENOENT')
  for await (const match of matchingPaths(path, most)) {
    if (typeof match === 'string') return
    throw new FileError(match.path, match.reason)
  }
  throw new FileError(path, 'matches no file: check the pattern, and the folder before its first * or ?')
}
