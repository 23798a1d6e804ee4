import type { Sql } from '../../storage/sql/database.js'
import { createPause } from '../../runtime/yield.js'
import type { QueryParameters, Key, Page, Question } from './question.js'

type Row = Record<string, unknown>

/** A portion of the rows, and where the next one begins; `next` is undefined if there is none. */
type Portion = { rows: Row[]; next: Key | undefined }

/** Reads the next portion after `after`, with at most `limit` rows. */
type ReadPortion = (after: Key | undefined, limit: number) => Promise<Portion>

/** Milliseconds since some moment. */
type Clock = () => number

/** After this time, an answer ends with the rows that it has. A portion takes some hundred milliseconds. */
const LONGEST_MS = 10_000

/** Candidates of a first portion: the rows of the page, but no more than the longest page has. */
const MOST_CANDIDATES = 1_001
const FEWEST_CANDIDATES = 20
/**
 * Rows of the table that are scanned with cheap conditions per candidate. The first portion scans few, since for most questions
 * nearly all rows are candidates.
 */
const SCANNED_FOR_ONE = { first: 2, later: 20 }
/** The cost that may be computed per candidate: see endOfPortion. */
const COST_OF_ONE = 2
/** Duration of a statement in milliseconds: after a shorter one the next portion is larger, after a longer one smaller. */
const SHORT_MS = 200
const LONG_MS = 1_000
const LARGER = 4
const SMALLER = 1 / 8
/**
 * A portion is at most so many times larger than the first: the next digests may cost forty times as much as the previous ones.
 */
const LARGEST = 16

/**
 * Reads the rows of a page in portions: the embedded database does nothing else while a statement runs. Each statement reads a
 * bounded number of rows, whatever was recorded, and other events are handled between two statements.
 * @param page `limit`: rows of the page, without the row that shows whether there is another page
 * @returns `next`: the key after which the next page begins; undefined if nothing is left. A page may have fewer rows, or none,
 * and a next page: then most of what was read in LONGEST_MS was not in the answer.
 */
export const readPage = async (
  db: Sql,
  question: Question,
  given: QueryParameters,
  page: Page,
  clock: Clock = () => performance.now(),
): Promise<Portion> => {
  const query = (await question.prepare?.(db, given)) ?? given
  const readPortion = question.portion
    ? inPortions(db, question, query, page, clock)
    : inRows(db, question, query, page)
  const pause = createPause()
  const end = clock() + LONGEST_MS
  const rows: Row[] = []
  let next = page.after
  do {
    const portion = await readPortion(next, page.limit + 1 - rows.length)
    rows.push(...portion.rows)
    if (rows.length > page.limit) return { rows: rows.slice(0, page.limit), next: rows[page.limit - 1]?.key as Key }
    next = portion.next
    await pause()
  } while (next !== undefined && clock() < end)
  return { rows, next }
}

/** Portions of rows that are all in the answer: the next one begins after the last row. */
const inRows = (db: Sql, question: Question, query: QueryParameters, page: Page): ReadPortion => {
  const { rowsAtOnce = Infinity } = question
  return async (after, limit) => {
    const most = Math.min(limit, rowsAtOnce)
    const { rows } = await question.statement(query, { ...page, after, limit: most }).execute(db)
    return { rows, next: rows.length === most ? (rows.at(-1)?.key as Key) : undefined }
  }
}

/** Portions that end at a row of the table, whether or not that row is in the answer. */
const inPortions = (db: Sql, question: Question, query: QueryParameters, page: Page, clock: Clock): ReadPortion => {
  const first = Math.min(MOST_CANDIDATES, Math.max(FEWEST_CANDIDATES, page.limit + 1))
  let factor = 1
  let scannedForOne = SCANNED_FOR_ONE.first
  return async (after, limit) => {
    const candidates = Math.ceil(first * factor)
    const size = { candidates, scanned: candidates * scannedForOne, cost: candidates * COST_OF_ONE }
    scannedForOne = SCANNED_FOR_ONE.later
    const until = (await question.portion?.(query, after, size).execute(db))?.rows[0]
    if (!until) return { rows: [], next: undefined }
    const begin = clock()
    const { rows } = await question.statement(query, { ...page, after, until: until.key, limit }).execute(db)
    factor = nextFactor(factor, clock() - begin)
    return { rows, next: until.is_last ? undefined : until.key }
  }
}

const nextFactor = (factor: number, ms: number): number => {
  if (ms > LONG_MS) return factor * SMALLER
  return ms < SHORT_MS ? Math.min(LARGEST, factor * LARGER) : factor
}
