import { isNativeError } from 'node:util/types'
import { sql } from 'kysely'
import { microsOf } from '../events/calendar.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import { isContentError, type Database, type Sql } from '../storage/sql/database.js'
import { possibleSketch } from '../storage/sketches/hyperloglog/possible-sketch.js'
import type { SketchStore } from '../storage/sketches/sketch-store.js'
import {
  checkHeading,
  ImportError,
  noLines,
  parseLine,
  type CounterLine,
  type ExportHeading,
  type LineCounts,
} from './export-lines.js'
import { TOLERANCE } from './export-values.js'
import { ROWS_PER_PAGE, TABLE_KINDS, TABLES, type TransferRow } from './transfer-tables.js'

type Stores = { database: Database; sketches: SketchStore }

export type ImportOptions = {
  /** Fingerprint of the users key that the export must have; undefined accepts any key. */
  fingerprint: string | undefined
  now: Date
  /** Called when the heading is valid, before the first counter is imported. */
  onAccepted?: () => Promise<void> | undefined
  /** Called after every `ROWS_PER_PAGE` lines with the number of lines so far. */
  onProgress?: (lines: number) => void
}

/**
 * Imports an export. A second import changes nothing: sketches are merged, the greater tally stays, and the earlier first event
 * of a repository stays. An import moves counters to a new store; it does not add up two stores that counted side by side. A store
 * without registries identifies registries by host if the exported installation did.
 * @throws ImportError for a line that no export contains; the lines before it may have been imported
 */
export const importCounters = async (
  { database, sketches }: Stores,
  lines: AsyncIterable<string>,
  { fingerprint, now, onAccepted, onProgress }: ImportOptions,
): Promise<LineCounts> => {
  const latest = microsOf(now) + TOLERANCE
  const done = noLines()
  const pending: Record<keyof typeof TABLES, Map<string, TransferRow>> = {
    tally: new Map(),
    repository: new Map(),
    unresolved_user: new Map(),
  }
  let number = 0
  const flush = async (kind: keyof typeof TABLES): Promise<void> => {
    const rows = pending[kind]
    pending[kind] = new Map()
    if (rows.size === 0) return
    try {
      await TABLES[kind].take(database.sql, JSON.stringify([...rows.values()]))
    } catch (error) {
      if (!isContentError(error)) throw error
      throw new ImportError(
        `a line of the kind ${kind} up to line ${number}: the database refuses it (${(error as Error).message})`,
      )
    }
  }
  const take = async (line: CounterLine): Promise<void> => {
    done[line.kind]++
    if (line.kind === 'sketch') return importSketch(sketches, line.value, number)
    const { kind, value } = line
    const key = rowKey(value)
    // A statement cannot upsert one row twice.
    if (pending[kind].has(key)) await flush(kind)
    if (pending[kind].set(key, value).size === ROWS_PER_PAGE) await flush(kind)
  }

  let ended = false
  let registryIdentity: ExportHeading['registryIdentity'] = 'host'
  for await (const text of lines) {
    number++
    if (ended) throw new ImportError(`line ${number}: comes after the end of the export`)
    if (number === 1) {
      registryIdentity = checkHeading(text, fingerprint)
      await onAccepted?.()
      continue
    }
    if (number % ROWS_PER_PAGE === 0) onProgress?.(number)
    const line = parseLine(text, number, latest)
    if (line.kind === 'end') {
      checkCounts(line.lines, done, number)
      ended = true
    } else await take(line)
  }
  if (number === 0) throw new ImportError('the export is empty')
  if (!ended) throw new ImportError(`the export is cut off after line ${number}: ${ANOTHER_EXPORT}`)
  for (const kind of TABLE_KINDS) await flush(kind)
  if (registryIdentity === 'host') await keepIdentityByHost(database.sql)
  return done
}

const rowKey = ({ registry, name, event, day }: TransferRow): string => JSON.stringify([registry, name, event, day])

/** An installation with imported data identifies registries by host until the setting registry_identity changes that. */
const keepIdentityByHost = async (db: Sql): Promise<void> => {
  await sql`
    update registry_identity set had_data = true
    where not exists (select from registry_hosts) and not exists (select from registry_processes)
  `.execute(db)
}

const ANOTHER_EXPORT = 'export again and import the new file; lines that were already imported do no harm'

const checkCounts = (announced: unknown, done: LineCounts, number: number): void => {
  const counts = (announced ?? {}) as Partial<LineCounts>
  for (const kind of ['sketch', ...TABLE_KINDS] as const) {
    const count = Object.hasOwn(counts, kind) ? counts[kind] : undefined
    if (count === done[kind]) continue
    if (typeof count !== 'number')
      throw new ImportError(`line ${number}: the number of lines of the kind ${kind} is missing; ${ANOTHER_EXPORT}`)
    throw new ImportError(
      `line ${number}: the export had ${count} lines of the kind ${kind}, but here are ${done[kind]}; ${ANOTHER_EXPORT}`,
    )
  }
}

const importSketch = async (
  sketches: SketchStore,
  { key, bytes, seconds }: Extract<CounterLine, { kind: 'sketch' }>['value'],
  number: number,
): Promise<void> => {
  try {
    await sketches.merge({ key, bytes: possibleSketch(Buffer.from(bytes, 'base64')), seconds })
  } catch (error) {
    if (isStorageUnavailable(error)) throw error
    throw new ImportError(`line ${number}: ${key}: ${isNativeError(error) ? error.message : 'cannot be stored'}`)
  }
}
