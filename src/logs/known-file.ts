import { FileError } from '../runtime/file-error.js'
import type { LogFile } from './file-table.js'
import { createLineHash } from './line-hash.js'
import type { LogSource } from './log-source.js'
import { createLineSplitter } from './split-lines.js'

/** What was imported of a log before. */
export type Known = {
  /** All lines of it were. */
  isWhole: boolean
  /** The lines of the log, at most one more than any candidate has. */
  lines: number
  /** The file whose lines are the beginning of the log. */
  file?: LogFile
  /** Why the log was not read to its end. */
  problem?: FileError
}

/**
 * Finds the file whose imported lines are the first lines of a log. If a file has more lines than the log, the log counts as a part of it:
 * more than half of its lines, or 256 lines, were compared.
 * @param candidates the files that begin like the log
 */
export const findKnown = async (source: LogSource, candidates: readonly LogFile[], key: string): Promise<Known> => {
  const most = Math.max(0, ...candidates.map((candidate) => candidate.lines))
  if (most === 0) return { isWhole: false, lines: 0 }
  const { hash, chain } = createLineHash(key)
  const counts = new Set(candidates.map((candidate) => candidate.lines))
  let lines = 0
  let file: LogFile | undefined
  let problem: FileError | undefined
  const splitter = createLineSplitter((bytes, start, end) => {
    if (lines > most) return
    lines++
    hash(bytes, start, end)
    if (!counts.has(lines)) return
    const hashed = chain()
    file = candidates.find((candidate) => candidate.lines === lines && candidate.chain.equals(hashed)) ?? file
  })
  try {
    for await (const chunk of await source.open()) {
      splitter.push(chunk as Buffer)
      if (lines > most) break
    }
    if (source.canGrow !== true) splitter.end()
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    problem = error
  }
  return { isWhole: lines < most || file?.lines === lines, lines, ...(file && { file }), ...(problem && { problem }) }
}
