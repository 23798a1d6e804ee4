import type { RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { SummaryKind } from './unknown.js'

/** What a parameter may be. In a statement an age is a moment, and a list of choices a text with commas. */
export type Parameter = {
  kind: 'text' | 'age' | 'choice' | 'choices'
  help: string
  required?: true
  /** Of a choice, or of a list of several. */
  choices?: readonly string[]
  default?: string
}

/** What a column holds, which decides how a table shows it: JSON has bytes as a number, and moments as ISO 8601 in UTC. */
export type ColumnKind = 'text' | 'count' | 'bytes' | 'time'

/** What the order of rows is made of: the last row's key is where the next page begins. */
export type KeyKind = 'id' | 'number' | 'text' | 'time' | 'day' | 'uuid'
export type Key = readonly (string | number)[]

/**
 * The parameters of one question, checked; undefined where nothing was asked. `repository_ids` stand for `repository`; `now` is
 * the time of the answer; `silent` are registries, and `unreconciled` describes repositories, both as JSON, of which there are to be no
 * rows. `prepare` adds what it found.
 */
export type QueryParameters = Readonly<Record<string, string | undefined>>
/** Rows behind `after`, up to and with `until`, at most `limit`. `now` is the time of the answer. */
export type Page = { after: Key | undefined; until?: Key | undefined; limit: number; now: Date }

/** How much one statement of an answer may look at: rows that may be in the answer, rows of the table, and what candidates cost together. */
export type PortionSize = { candidates: number; scanned: number; cost: number }

/** A question that people have about what registries hold. */
export type Question = {
  /** In paths and commands. */
  name: string
  /** One sentence: what each row is, and in which order. */
  answers: string
  /** What the words in the answer mean. */
  definition: string
  parameters: Readonly<Record<string, Parameter>>
  columns: Readonly<Record<string, ColumnKind>>
  /** By the name of a parameter: columns that are only there if the parameter is given. */
  columnsWith?: Readonly<Record<string, Readonly<Record<string, ColumnKind>>>>
  key: readonly KeyKind[]
  /** The answer comes from the summary, and is as of then. */
  fromSummary?: true
  /** What the answer may lack because it is not known; without it, what its columns say. */
  unknown?: readonly SummaryKind[]
  /** The parameter that names the one object of which the rows are: no rows mean that no such object is known. */
  object?: 'reference'
  /**
   * Why rows are offered for clean-up, if they are: nobody used them lately (perhaps only with a parameter), nothing in the registry
   * refers to them, or both. Rows of some registries are left out: see `silencesIn`.
   */
  offers?: 'unused' | 'unused, with unused_for' | 'unreferenced' | 'unreferenced and unused'
  /** If what a delete leaves behind is listed only after some days: what is left out until then, unless `unused_for` is given. */
  afterDelete?: { days: number; leftOut: string }
  /**
   * If the work for one row may be much: a statement that finds with cheap conditions how far the next statement may go from `after`.
   * One row: the `key` of the last row of the portion, and whether the portion `is_last`; no row if nothing is left.
   */
  portion?: (
    query: QueryParameters,
    after: Key | undefined,
    size: PortionSize,
  ) => RawBuilder<{ key: Key; is_last: boolean }>
  /** Reads once for a page what its statements need, and returns it with what was asked. */
  prepare?: (db: Sql, query: QueryParameters) => Promise<QueryParameters>
  /** Rows of the answer that one statement reads, if it reads more for each than look-ups by key. */
  rowsAtOnce?: number
  /** One statement; each of its rows has the columns and, as a JSON array, its `key`. */
  statement: (query: QueryParameters, page: Page) => RawBuilder<Record<string, unknown>>
}

export const REGISTRY: Parameter = { kind: 'text', help: 'only of this registry, as registry.example.com' }
export const REPOSITORY: Parameter = { kind: 'text', help: 'only of this repository, as team/app' }
export const DIGEST: Parameter = { kind: 'text', help: 'only this digest, as sha256:…' }
/** Of questions that can be asked of a part of the registries. */
export const REPOSITORY_FILTER = { registry: REGISTRY, repository: REPOSITORY } as const

/** The columns of an answer to these parameters. */
export const columnsOf = (
  { columns, columnsWith = {} }: Question,
  given: Readonly<Record<string, unknown>>,
): Question['columns'] =>
  Object.fromEntries([
    ...Object.entries(columns),
    ...Object.entries(columnsWith).flatMap(([key, more]) => (given[key] === undefined ? [] : Object.entries(more))),
  ])
