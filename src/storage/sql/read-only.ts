import type { Socket } from 'node:net'
import type pg from 'pg'
import { LARGEST_ANSWER, sizeOf } from './answer-size.js'
import { isRefusal, type Database } from './database.js'
import { READ_ONLY_ROLE } from './read-only-role.js'
import { refusedWords, refusedWordValues, StatementRefused, toStatement, wordsIn } from './statement-check.js'

/** The result of a statement: names of columns, and rows with values in the order of the columns. */
export type ReadOnlyAnswer = {
  columns: string[]
  rows: unknown[][]
  /** Whether there are more rows than the limit. */
  more: boolean
}

export type ReadOnlyLimits = {
  rows: number
  /** Time limit of the whole statement, whatever the number of its parts. */
  seconds: number
  /** Limit of the size of all values together; default LARGEST_ANSWER. */
  bytes?: number
}

/** The rows of one part, and its approximate bytes. Memory contains at most an answer of the allowed size and one part. */
const PART = { rows: 100, bytes: 1024 * 1024 }

/** The time between the server's limit of a statement and the client's limit, which is for a server that does not answer. */
const GRACE_MS = 2_000

type Extended = pg.QueryConfig & { queryMode: 'extended'; rowMode: 'array'; query_timeout: number }
type RunArrays = (text: string, values?: unknown[]) => Promise<pg.QueryArrayResult>

/**
 * Runs one statement of an operator in a read-only transaction, and rolls it back. The statement can neither write nor change
 * the state of its session:
 * - The extended protocol accepts a single statement, and a cursor accepts only queries.
 * - It runs as a role that may only read (read-only-role.ts), and cannot call the functions that would change the role.
 * - It cannot name functions with effects, such as locks, nor functions that run a text as a statement.
 * - On PostgreSQL its session ends with it; the session of the embedded database is cleaned.
 *
 * Names without a schema are found in `regstat` first, so that SQL written for RegStat runs as it is.
 * The server enforces the time limit: PGlite accepts the setting but ignores it (docs/decisions/0011).
 * @param reuse `drop`: the connection is closed after the statement; `keep`: it is the only connection, of the embedded database
 * @param freeBytes with `keep`: the bytes of the disk that temporary files of the statement may use now
 */
export const readOnlyOn =
  (pool: pg.Pool, reuse: 'keep' | 'drop', freeBytes = (): number => MOST_TEMPORARY_BYTES): Database['readOnly'] =>
  async (text, { rows, seconds, bytes = LARGEST_ANSWER }) => {
    const words = wordsIn(text)
    const client = await pool.connect()
    const end = performance.now() + seconds * 1000
    const run: RunArrays = async (text, values = []) => {
      const config: Extended = {
        text,
        values,
        queryMode: 'extended',
        rowMode: 'array',
        query_timeout: reuse === 'drop' ? seconds * 1000 + GRACE_MS : 0,
      }
      return client.query(config as unknown as pg.QueryArrayConfig)
    }
    const limitRemainingTime = async (): Promise<void> => {
      const left = Math.ceil(end - performance.now())
      if (left <= 0) throw new StatementRefused(`the statement took longer than ${seconds} s`)
      await run(`set local statement_timeout = ${left}`)
    }
    const received = reuse === 'drop' ? countReceived(client, bytes) : undefined
    try {
      const isRestricted = await begin(run, reuse === 'keep' ? [temporaryLimit(freeBytes())] : [])
      await run('set local search_path = regstat, public')
      await refuse(run, words, isRestricted)
      await limitRemainingTime()
      const answer = await answerOf(run, text, { rows: rows + 1, bytes, beforePart: limitRemainingTime })
      return {
        columns: answer.fields.map(({ name }) => name),
        rows: answer.rows.slice(0, rows),
        more: answer.rows.length > rows,
      }
    } catch (error) {
      throw received?.isTooMuch() ? answerTooLarge(bytes) : error
    } finally {
      received?.stop()
      if (reuse === 'keep') for (const statement of CLEANING) await run(statement).catch(() => undefined)
      client.release(reuse === 'drop')
    }
  }

/** Resets all state of a session that a statement may change. Prepared statements of the service stay. */
const CLEANING = [
  'rollback',
  'reset session authorization',
  'reset all',
  'select pg_catalog.pg_advisory_unlock_all()',
  'unlisten *',
  'discard sequences',
  'discard temp',
]

/** Bytes of temporary files of one statement. */
const MOST_TEMPORARY_BYTES = 2 * 2 ** 30

/** For the embedded database, whose temporary files are on the disk of the service, and whose user is a superuser, as this needs. */
const temporaryLimit = (freeBytes: number): string => {
  const bytes = Math.max(0, Math.min(freeBytes, MOST_TEMPORARY_BYTES))
  return `set local temp_file_limit = '${Math.floor(bytes / 1024)}kB'`
}

/** Begins the transaction. @returns whether it runs as the read-only role, which not every server has */
const begin = async (run: RunArrays, settings: readonly string[]): Promise<boolean> => {
  await run('begin transaction read only')
  for (const setting of settings) await run(setting)
  try {
    await run(`set local role ${READ_ONLY_ROLE}`)
    return true
  } catch (error) {
    if (!isRefusal(error)) throw error
    await run('rollback')
    await run('begin transaction read only')
    for (const setting of settings) await run(setting)
    return false
  }
}

const refuse = async (run: RunArrays, words: readonly string[], isRestricted: boolean): Promise<void> => {
  const { rows } = await run(refusedWords(isRestricted), refusedWordValues(words, isRestricted))
  const names = rows.flat().slice(0, 5)
  if (names.length === 0) return
  throw new StatementRefused(
    `${names.join(', ')}: no statement may contain this name, not even in a text: it may have effects that a rollback does not undo, or show secrets`,
  )
}

type Bounds = { rows: number; bytes: number; beforePart: () => Promise<void> }
type Rows = { fields: { name: string }[]; rows: unknown[][] }

const answerOf = async (run: RunArrays, text: string, bounds: Bounds): Promise<Rows> => {
  const statement = toStatement(text)
  if (statement.kind === 'show') return bounded(await run(statement.text), bounds)
  if (statement.kind === 'query') {
    await declare(run, statement.text)
    return fetchRows(run, bounds)
  }
  // Only a statement that a cursor accepts may be explained: "explain analyze" executes its statement.
  await declare(run, statement.query)
  await run('close answer')
  await bounds.beforePart()
  return bounded(await run(`explain ${statement.options} ${statement.query}`), bounds)
}

const declare = async (run: RunArrays, query: string): Promise<void> => {
  await run(`declare answer no scroll cursor for ${query}`)
}

/** Reads rows part by part. Parts begin with one row and grow while rows are small. */
const fetchRows = async (run: RunArrays, bounds: Bounds): Promise<Rows> => {
  const found: Rows = { fields: [], rows: [] }
  let size = 0
  let largest = 1
  for (let part = 1; found.rows.length < bounds.rows;) {
    await bounds.beforePart()
    const wanted = Math.min(part, bounds.rows - found.rows.length)
    const { fields, rows } = (await run(`fetch forward ${wanted} from answer`)) as Rows
    found.fields = fields
    for (const row of rows) {
      const bytes = sizeOf(row)
      largest = Math.max(largest, bytes)
      size += bytes
      found.rows.push(row)
    }
    if (size > bounds.bytes) throw answerTooLarge(bounds.bytes)
    if (rows.length < wanted) break
    part = Math.max(1, Math.min(2 * part, PART.rows, Math.floor(PART.bytes / largest)))
  }
  return found
}

const bounded = (answer: Rows, { bytes }: Bounds): Rows => {
  if (answer.rows.reduce((size, row) => size + sizeOf(row), 0) > bytes) throw answerTooLarge(bytes)
  return answer
}

export const answerTooLarge = (bytes: number): StatementRefused =>
  new StatementRefused(
    `the answer has more than ${Math.floor(bytes / 1024 / 1024)} MiB: ask for fewer rows with a limit, for fewer columns, or for the beginnings of long texts with left(column, 100)`,
  )

/** Ends a connection that receives too many bytes, before the driver makes a row of them in memory. */
const countReceived = (client: pg.PoolClient, most: number): { isTooMuch: () => boolean; stop: () => void } => {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
  let received = 0
  const count = (data: Buffer): void => {
    received += data.length
    if (received > most) stream.destroy()
  }
  stream.prependListener('data', count)
  return { isTooMuch: () => received > most, stop: () => stream.removeListener('data', count) }
}
