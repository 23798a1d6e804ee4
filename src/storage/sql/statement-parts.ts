import { createHash } from 'node:crypto'
import { arrayText } from './array-text.js'
import type { HotStatement } from './database.js'

/**
 * A part of a statement: one or more common table expressions. One statement, joined from the necessary parts, stores a batch in
 * one transaction and one round trip.
 */
export type StatementPart = {
  name: string
  /** The common table expressions that the part defines. */
  provides: readonly string[]
  /** What the part reads of earlier parts: common table expressions. */
  requires: readonly string[]
  /** The numbers of parameters that the final `select` may use, each under a name. */
  parameters?: Readonly<Record<string, number>>
  /** @param p the placeholder of this part's parameter with a number, counted from 1 */
  text: (p: (number: number) => string) => string
}

/** The end of a statement. */
export type FinalSelect = {
  /** Common table expressions and parameters of the parts. */
  requires: readonly string[]
  /** @param p the placeholder of a parameter that a part has under a name */
  text: (p: (name: string) => string) => string
}

/** A part with its values for one batch. */
export type FilledPart = {
  part: StatementPart
  /** Columns of rows for `unnest`, and single values. */
  values: readonly (Column | string | null)[]
}

/** Numbers must be finite. */
export type Column = readonly (string | number | boolean | null)[]

type JoinParts = (filled: readonly FilledPart[]) => { statement: HotStatement; values: (string | null)[] }

/**
 * Checks parts, and returns a function that joins some of them, in their order, in front of a `select`. There are few
 * combinations: each is checked and built once in the process, and prepared once per connection.
 * @throws Error if a part requires what no earlier part provides, or if two parts provide the same; the returned function
 * throws it for a combination that lacks a required part
 */
export const joinerOf = (parts: readonly StatementPart[], select: FinalSelect): JoinParts => {
  refuseUnfit(parts, select)
  const known = new Map<string, HotStatement>()
  return (filled) => {
    const names = filled.map(({ part }) => part.name).join(' ')
    const statement = known.get(names) ?? statementOf(filled, select)
    known.set(names, statement)
    return { statement, values: filled.flatMap(({ values }) => values.map(asParameter)) }
  }
}

/** The driver can write arrays, too, but takes several times as long. */
const asParameter = (value: Column | string | null): string | null =>
  value === null || typeof value === 'string' ? value : arrayText(value)

const refuseUnfit = (parts: readonly StatementPart[], select: FinalSelect): void => {
  const providers = new Map<string, string>()
  const refuseMissing = (reader: string, requires: readonly string[]): void => {
    const missing = requires.find((name) => !providers.has(name))
    if (missing !== undefined)
      throw new Error(`${reader} requires "${missing}", which no earlier part of the statement provides`)
  }
  for (const { name, provides, requires, parameters = {} } of parts) {
    refuseMissing(`the statement part "${name}"`, requires)
    for (const provided of [...provides, ...Object.keys(parameters)]) {
      const other = providers.get(provided)
      if (other !== undefined)
        throw new Error(`the statement parts "${other}" and "${name}" both provide "${provided}"`)
      providers.set(provided, name)
    }
  }
  refuseMissing('the final select', select.requires)
}

const statementOf = (filled: readonly FilledPart[], select: FinalSelect): HotStatement => {
  refuseUnfit(
    filled.map(({ part }) => part),
    select,
  )
  let before = 0
  const placeholders = new Map<string, string>()
  const texts = filled.map(({ part, values }) => {
    const first = before
    before += values.length
    const placeholder = (number: number): string => `$${first + number}`
    for (const [name, number] of Object.entries(part.parameters ?? {})) placeholders.set(name, placeholder(number))
    return part.text(placeholder)
  })
  const named = (name: string): string => {
    const placeholder = placeholders.get(name)
    if (placeholder === undefined) throw new Error(`the final select uses the parameter "${name}", which no part has`)
    return placeholder
  }
  const text = `with ${texts.join(',')} ${select.text(named)}`
  // PostgreSQL compares only the first 63 bytes of a name, so the name cannot contain the names of all parts.
  return { name: `record_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`, text }
}
