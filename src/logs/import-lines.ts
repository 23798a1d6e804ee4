import type { Micros } from '../events/calendar.js'
import { FileError } from '../runtime/file-error.js'
import type { ReaderOptions } from '../sources/access-logs/log-format.js'
import type { Recognized } from '../sources/access-logs/recognize.js'
import { jobStep } from '../storage/sql/retried-transaction.js'
import { DamagedLog } from './damaged-log.js'
import { addCounts, addFile, addPortion, type FileCounts, type Head, type LogFile } from './file-table.js'
import type { ImportDeps, Imported } from './import-file.js'
import type { Known } from './known-file.js'
import { createLineHash } from './line-hash.js'
import { createLineReader } from './line-reader.js'
import type { LogSource } from './log-source.js'
import { MOST_LINES } from './read-head.js'
import { createLineSplitter } from './split-lines.js'

const MOST_WEIGHT = 24 * 1024 * 1024

type Start = {
  recognized: Recognized
  heads: readonly Head[]
  /** Files that begin like the log. */
  candidates: readonly LogFile[]
  known: Known
}

type ImportLinesDeps<What, Who> = Omit<ImportDeps<What, Who>, 'options'> & { options: ReaderOptions }

/**
 * Imports the lines of a log after those that are known.
 * @returns undefined if another process has imported lines of the file meanwhile
 */
export const importLines = async <What, Who>(
  source: LogSource,
  deps: ImportLinesDeps<What, Who>,
  { recognized, heads, candidates, known }: Start,
): Promise<Imported | undefined> => {
  const { database, registry, options, now, mostWeight = MOST_WEIGHT, onProgress } = deps
  const { format, wrapper } = recognized
  if (known.isWhole) {
    const { lines, problem } = known
    return { format: format.name, before: lines, lines: 0, counts: {}, ...(problem && { problem }) }
  }
  const requests = deps.createRequests()
  const { hash, high, low, chain, seed } = createLineHash(deps.key)
  const files = candidates.map(({ number }) => number)
  const before = known.file?.lines ?? 0
  let file = known.file?.number
  let lines = 0
  let stored = before
  let counts: FileCounts = {}
  const total: FileCounts = {}
  let [firstAt, lastAt]: [Micros, Micros] = [Infinity, -Infinity]

  const reader = createLineReader<What, Who>({
    ...{ format, wrapper, seed, options },
    what: requests.what,
    who: requests.who,
    onRequest: (what, who, at, bytes) => {
      if (at < firstAt) firstAt = at
      if (at > lastAt) lastAt = at
      if (what === undefined || who === undefined) return
      requests.add({ what, who, at, bytes, idHigh: high(), idLow: low() })
    },
  })
  const splitter = createLineSplitter((bytes, start, end, isCut) => {
    hash(bytes, start, end)
    lines++
    if (lines <= before) {
      // Headers, and parts of wrapped lines, have an effect on later lines.
      if (lines <= MOST_LINES || wrapper !== undefined) reader.skip(bytes, start, end)
      return
    }
    const name = isCut ? 'too_long' : reader.read(bytes, start, end)
    if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1
  })

  const store = async (): Promise<boolean> => {
    const storeRequests = requests.take()
    const own = heads.filter((head) => head.lines <= lines)
    const portion = { lines, chain: chain(), counts, firstAt, lastAt, heads: own }
    const { number, late } = await jobStep({ sql: database.jobs }, async (tx) => {
      const added = { registry, format: format.name, wrapper, name: source.name, heads: own, known: files, now: now() }
      const number = file ?? (await addFile(tx, added))
      if (number === undefined || !(await addPortion(tx, number, { from: stored, portion, now: now() }))) {
        return { number: undefined, late: 0 }
      }
      const late = await storeRequests(tx, number)
      if (late > 0) await addCounts(tx, number, { late })
      return { number, late }
    })
    if (number === undefined) return false
    file = number
    files.push(number)
    stored = lines
    for (const [name, some] of Object.entries({ ...counts, late }))
      if (some > 0) total[name] = (total[name] ?? 0) + some
    counts = {}
    ;[firstAt, lastAt] = [Infinity, -Infinity]
    return true
  }

  let problem: FileError | undefined
  try {
    for await (const chunk of await source.open()) {
      splitter.push(chunk as Buffer)
      onProgress?.(lines)
      if (requests.weight() > mostWeight && !(await store())) return undefined
    }
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    problem = error
  }
  // Damaged lines are not stored: the whole file has other lines, and would be imported again from its first line.
  if (lines > stored && !(problem instanceof DamagedLog) && !(await store())) return undefined
  if (!problem && source.canGrow !== true && splitter.end() && lines > before) {
    // The last line may be cut. It is stored like a second file, so that the one that has the whole line goes on before it.
    file = undefined
    stored = 0
    if (!(await store())) return undefined
  }
  return {
    ...{ format: format.name, before, lines: Math.max(0, stored - before), counts: total },
    ...(problem && { problem }),
  }
}
