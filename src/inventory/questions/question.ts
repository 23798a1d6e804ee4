import type { RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { SummaryKind } from './unknown.js'

/** The kind of a parameter. In a statement, an age is a moment, and a list of choices is text with commas. */
export type Parameter = {
  kind: 'text' | 'age' | 'choice' | 'choices'
  help: string
  required?: true
  /** The choices of `choice` and `choices`. */
  choices?: readonly string[]
  default?: string
}

/** The kind of a column, which decides how a table shows it. JSON has bytes as a number, and times as ISO 8601 in UTC. */
export type ColumnKind = 'text' | 'count' | 'bytes' | 'time'

/**
 * The kinds of the columns that rows are ordered by: the next page begins after the key of the last row. A key has a `bigint` as
 * decimal text (see `bigintKey`), because JavaScript rounds numbers above 2^53.
 */
export type KeyKind = 'id' | 'bigint' | 'text' | 'time' | 'day' | 'uuid'
export type Key = readonly (string | number)[]

/**
 * The checked parameters of one query; a parameter that was not given is undefined. `repository_ids` replaces `repository`; `now`
 * is the time of the answer. The answer leaves out the registries in `silent` and the repositories that `unreconciled` and
 * `undecided` describe, all as JSON. `prepare` adds further parameters.
 */
export type QueryParameters = Readonly<Record<string, string | undefined>>
/** Rows after `after`, up to and including `until`, at most `limit`. `now` is the time of the answer. */
export type Page = { after: Key | undefined; until?: Key | undefined; limit: number; now: Date }

/**
 * How much one statement of an answer may read: rows that may be in the answer, rows of the table, and the total cost of
 * candidates.
 */
export type PortionSize = { candidates: number; scanned: number; cost: number }

/** A question about what registries contain: its parameters, its columns and its SQL. */
export type Question = {
  /** Used in paths and commands. */
  name: string
  /** One or two sentences: what each row is, and the order of the rows. */
  answers: string
  /** Defines the words and columns of the answer. */
  definition: string
  parameters: Readonly<Record<string, Parameter>>
  columns: Readonly<Record<string, ColumnKind>>
  /** Columns that are present only if a parameter is given, by the name of the parameter. */
  columnsWith?: Readonly<Record<string, Readonly<Record<string, ColumnKind>>>>
  key: readonly KeyKind[]
  /** The answer comes from the summary, as of its time. */
  fromSummary?: true
  /** Which unknown facts the answer may lack; by default, those that its columns need. */
  unknown?: readonly SummaryKind[]
  /** The parameter that names the only object of the answer: no rows mean that no such object is known. */
  object?: 'reference'
  /**
   * Why the answer offers its rows for clean-up, if it does: they were not used lately (for some questions only if a parameter is
   * given), nothing in the registry refers to them, or both. Rows of some registries are left out: see `silencesIn`.
   */
  offers?: 'unused' | 'unused, with unused_for' | 'unreferenced' | 'unreferenced and unused'
  /**
   * Set if rows appear in the answer only some days after a delete: `leftOut` names the rows that are missing until then, unless
   * `unused_for` is given.
   */
  afterDelete?: { days: number; leftOut: string }
  /**
   * For rows that may need much work: a statement that finds with cheap conditions how far the next statement may go from
   * `after`. Its row has the `key` of the last row of the portion, and whether the portion `is_last`; no row if nothing is
   * left.
   */
  portion?: (
    query: QueryParameters,
    after: Key | undefined,
    size: PortionSize,
  ) => RawBuilder<{ key: Key; is_last: boolean }>
  /** Reads once per page what its statements need, and returns it with the parameters. */
  prepare?: (db: Sql, query: QueryParameters) => Promise<QueryParameters>
  /** Rows of the answer that one statement reads, if each needs more than look-ups by key. */
  rowsAtOnce?: number
  /** One statement. Each of its rows has the columns and, as a JSON array, its `key`. */
  statement: (query: QueryParameters, page: Page) => RawBuilder<Record<string, unknown>>
}

export const REGISTRY: Parameter = { kind: 'text', help: 'only in this registry, for example registry.example.com' }
export const REPOSITORY: Parameter = { kind: 'text', help: 'only in this repository, for example team/app' }
export const DIGEST: Parameter = { kind: 'text', help: 'only this digest, for example sha256:…' }
/** The parameters of questions that can be limited to a registry or a repository. */
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
