import { arrayText } from './array-text.js'
import type { HotStatement } from './database.js'

/**
 * A part of a statement: one or more common table expressions. One statement, joined from the necessary parts, stores a batch in
 * one transaction and one round trip.
 */
export type StatementPart = {
  /** Identifies the part in the name of the statement. */
  key: string
  /** @param p the placeholder of this part's parameter with a number, counted from 1 */
  text: (p: (number: number) => string) => string
  /** Columns of rows for `unnest`, and single values. */
  values: readonly (Column | string | null)[]
}

/** Numbers must be finite. */
export type Column = readonly (string | number | boolean | null)[]

const known = new Map<string, HotStatement>()

/**
 * Joins parts in front of a final `select`, which uses the parameters of the first part. There are few combinations, and each is
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

/** The driver can write arrays, too, but takes several times as long. */
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
