import { FileError } from '../runtime/file-error.js'
import type { Head } from './file-table.js'
import { createLineHash } from './line-hash.js'
import type { LogSource } from './log-source.js'
import { createLineSplitter, type LineSplitter } from './split-lines.js'

/** A file is recognized by at most so many of its first lines. */
export const MOST_LINES = 256
const MOST_BYTES = 1024 * 1024

/** The beginning of a file. */
export type Beginning = {
  /** The first lines as text. */
  lines: string[]
  /** For each of them, the hash of it and of all lines before it. */
  hashes: Buffer[]
}

/**
 * Reads the beginning of a log. A line without its end does not count if it may be growing.
 * @throws FileError if the log cannot be read, and no line came before the error
 */
export const readBeginning = async (source: LogSource, key: string): Promise<Beginning> => {
  const beginning: Beginning = { lines: [], hashes: [] }
  const { hash, chain } = createLineHash(key)
  const splitter = createLineSplitter((bytes, start, end) => {
    if (beginning.lines.length >= MOST_LINES) return
    beginning.lines.push(bytes.toString('utf8', start, end))
    hash(bytes, start, end)
    beginning.hashes.push(chain())
  })
  try {
    if (await isReadToEnd(source, beginning, splitter)) splitter.end()
  } catch (error) {
    // The import meets the same error, after these lines.
    if (!(error instanceof FileError) || beginning.lines.length === 0) throw error
  }
  return beginning
}

/** @returns whether the last line is complete: the log ended, and it does not grow */
const isReadToEnd = async (source: LogSource, { lines }: Beginning, splitter: LineSplitter): Promise<boolean> => {
  let read = 0
  for await (const chunk of await source.open()) {
    splitter.push(chunk as Buffer)
    read += (chunk as Buffer).length
    if (lines.length >= MOST_LINES || read >= MOST_BYTES) return false
  }
  return source.canGrow !== true
}

/**
 * The beginnings by which a file is recognized: up to the first line with a request, and up to each line after it whose number is a
 * power of two. Files that begin with the same lines have the same beginnings. Different files may have the same headers, so headers
 * are no beginning, unless no line has a request.
 * @param isRequest called with each line, in order
 */
export const headsOf = ({ lines, hashes }: Beginning, isRequest: (line: string) => boolean): Head[] => {
  const first = lines.findIndex(isRequest) + 1
  const last = hashes.at(-1)
  if (first === 0) return last ? [{ lines: hashes.length, hash: last }] : []
  return hashes
    .map((hash, i) => ({ lines: i + 1, hash }))
    .filter(({ lines: number }) => number === first || (number > first && (number & (number - 1)) === 0))
}
