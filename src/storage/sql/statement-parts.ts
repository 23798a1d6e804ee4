import { arrayText } from './array-text.js'
import type { HotStatement } from './database.js'

/**
 * A part of a statement: one or more common table expressions. A batch is stored by one statement made of the parts it needs,
 * which PostgreSQL takes as one transaction and one round trip.
 */
export type StatementPart = {
  /** Tells parts from each other in the name of the statement. */
  key: string
  /** @param p the placeholder of this part's parameter with a number, counted from 1. */
  text: (p: (number: number) => string) => string
  /** Columns of rows for `unnest`, and single values. */
  values: readonly (Column | string | null)[]
}

/** Numbers in it are finite. */
export type Column = readonly (string | number | boolean | null)[]

const known = new Map<string, HotStatement>()

/**
 * Joins parts in front of a closing `select`, which belongs to the first of them. There are few combinations, so each is
 * prepared once per connection.
 */
export const joinParts = (
  parts: readonly StatementPart[],
  select: (p: (number: number) => string) => string,
): { statement: HotStatement; values: (string | null)[] } => {
  const name = `record_${parts.map(({ key }) => key).join('')}`
  const statement = known.get(name) ?? { name, text: textOf(parts, select) }
  known.set(name, statement)
  return { statement, values: parts.flatMap(({ values }) => values.map(asParameter)) }
}

/** The driver writes arrays itself, but takes several times as long. */
const asParameter = (value: Column | string | null): string | null =>
  value === null || typeof value === 'string' ? value : arrayText(value)

const textOf = (parts: readonly StatementPart[], select: (p: (number: number) => string) => string): string => {
  let before = 0
  const texts = parts.map(({ text, values }) => {
    const first = before
    before += values.length
    return text((number) => `$${first + number}`)
  })
  return `with ${texts.join(',')} ${select((number) => `$${number}`)}`
}
