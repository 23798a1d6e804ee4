import { HARMLESS_FUNCTIONS, SECRET_NAMES } from './read-only-role.js'
import { UserError } from '../../runtime/user-error.js'

/** Tallyman itself refused or ended the statement of an operator. The message explains why, and what helps. */
export class StatementRefused extends UserError {
  override readonly kind = 'invalid'
}

/** A statement of an operator by its kind. A query is read through a cursor; `explain` and `show` have none. */
export type OperatorStatement =
  | { kind: 'query'; text: string }
  | { kind: 'show'; text: string }
  /** `query` is the explained query; `options` is `analyze`, `(analyze, format json)` or empty. */
  | { kind: 'explain'; options: string; query: string }

/** The first words of an option list of `explain`. Other parentheses begin a query. */
const EXPLAIN_OPTIONS =
  /^\(\s*(?:analyze|analyse|verbose|costs|settings|generic_plan|buffers|serialize|wal|timing|summary|memory|format)\b[\w\s,]*$/i

/** Finds the kind of a statement, in time linear in the length of the text. */
export const toStatement = (text: string): OperatorStatement => {
  const query = withoutEnd(text)
  const start = afterBlank(query, 0)
  const word = wordAt(query, start)
  const rest = query.slice(start + word.length)
  if (word === 'show' && /^[\s\w.]+$/.test(rest)) return { kind: 'show', text: `show ${rest}` }
  if (word === 'explain') return explained(query, afterBlank(query, start + word.length))
  return { kind: 'query', text: query }
}

/** The first words of allowed statements. */
const FIRST_WORDS: ReadonlySet<string> = new Set(['select', 'with', 'values', 'table', 'show', 'explain'])

/**
 * The message for a statement that the database refused. A cursor accepts only queries, so for any other statement the database
 * reports only a syntax error.
 */
export const refusalOf = (text: string, error: Error): string => {
  const statement = toStatement(text)
  const query = statement.kind === 'explain' ? statement.query : text
  const word = wordAt(query, afterBlank(query, 0))
  if (word === '' || FIRST_WORDS.has(word))
    return `the database refused the statement: ${error.message}${isUnknownName(error) ? LISTED : ''}`
  return `"${word.slice(0, 40)}" is refused: a statement can only read, so it begins with ${[...FIRST_WORDS].join(', ')}`
}

/** Whether a table, a column or a schema is unknown, by PostgreSQL's SQLSTATE. */
const isUnknownName = (error: Error): boolean =>
  'code' in error && ['42P01', '42703', '3F000'].includes(String(error.code))
const LISTED = '; docs/inventory.md ("The schema") lists the tables and columns'

/** Rebuilds the options without the comments between them, so that the executed statement contains no unchecked text. */
const explained = (text: string, from: number): OperatorStatement => {
  const close = text.indexOf(')', from)
  if (text[from] === '(' && close > 0 && EXPLAIN_OPTIONS.test(text.slice(from, close)))
    return { kind: 'explain', options: text.slice(from, close + 1), query: text.slice(close + 1) }
  const options: string[] = []
  let at = from
  for (let word = wordAt(text, at); EXPLAIN_WORDS.has(word); word = wordAt(text, at)) {
    options.push(word)
    at = afterBlank(text, at + word.length)
  }
  return { kind: 'explain', options: options.join(' '), query: text.slice(at) }
}

const EXPLAIN_WORDS: ReadonlySet<string> = new Set(['analyze', 'analyse', 'verbose'])

/** Removes semicolons at the end, which the query of a cursor must not have. */
const withoutEnd = (text: string): string => {
  let end = text.length
  while (/[\s;]/.test(text[end - 1] ?? '')) end--
  return text.slice(0, end)
}

const wordAt = (text: string, at: number): string => {
  const word = /[a-z_]*/iy
  word.lastIndex = at
  return (word.exec(text)?.[0] ?? '').toLowerCase()
}

/** Skips white space and comments; block comments may be nested. */
const afterBlank = (text: string, from: number): number => {
  let at = from
  let depth = 0
  while (at < text.length) {
    const pair = text.slice(at, at + 2)
    if (pair === '/*') {
      depth++
      at += 2
    } else if (depth > 0 && pair === '*/') {
      depth--
      at += 2
    } else if (depth === 0 && pair === '--') {
      while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at++
    } else if (depth > 0 || /\s/.test(text[at] ?? '')) at++
    else break
  }
  return at
}

/**
 * All words of a text that may be names, in lower case, including words in strings, comments and quotes. This search ignores
 * syntax, so only an escape (`U&"\\0073alts"`) can hide a name from it. Escapes are refused.
 * @throws StatementRefused
 */
export const wordsIn = (text: string): string[] => {
  if (/u&["']/i.test(text)) throw new StatementRefused('names and texts with Unicode escapes (U&"…") are not accepted')
  if (text.includes('\0')) throw new StatementRefused('a statement cannot contain the character U+0000')
  return [...new Set(text.toLowerCase().match(/[a-z_][a-z0-9_$]*/g))]
}

/**
 * A query that finds, among the words `$1`, the names that no statement may contain: functions that have effects (which
 * PostgreSQL calls volatile), and functions that run a text as a statement.
 * @param isRestricted whether the statement runs as the role that cannot read secrets
 */
export const refusedWords = (isRestricted: boolean): string => `
  select distinct p.proname::text from pg_catalog.pg_proc p
  where lower(p.proname::text) = any ($1::text[]) and (p.provolatile = 'v' and p.proname <> all ($2::text[]) or p.proname ~ '_to_xml')
  union all
  select word from unnest($1::text[]) word where ${isRestricted ? 'false' : 'word = any ($3::text[])'}
  order by 1`

export const refusedWordValues = (words: readonly string[], isRestricted: boolean): unknown[] =>
  isRestricted ? [words, HARMLESS_FUNCTIONS] : [words, HARMLESS_FUNCTIONS, SECRET_NAMES]
