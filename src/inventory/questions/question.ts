import type { RawBuilder } from 'kysely'

/** What a parameter may be; ages are told as moments by the time a statement sees them. */
export type Parameter = {
  kind: 'text' | 'age' | 'choice'
  help: string
  required?: true
  /** Of a choice. */
  choices?: readonly string[]
  default?: string
}

/** What a column holds, which decides how a table shows it: JSON has bytes as a number, and moments as ISO 8601 in UTC. */
export type ColumnKind = 'text' | 'count' | 'bytes' | 'time'

/** What the order of rows is made of: the last row's key is where the next page begins. */
export type KeyKind = 'id' | 'number' | 'text' | 'time' | 'day' | 'uuid'
export type Key = readonly (string | number)[]

/** The parameters of one question, checked; undefined where nothing was asked. `repository_ids` stand for `repository`. */
export type Asked = Readonly<Record<string, string | undefined>>
/** `now` is the time of the answer. */
export type Page = { after: Key | undefined; limit: number; now: Date }

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
  key: readonly KeyKind[]
  /** The answer comes from the summary, and is as of then. */
  fromSummary?: true
  /** One statement; each of its rows has the columns and, as a JSON array, its `key`. */
  statement: (asked: Asked, page: Page) => RawBuilder<Record<string, unknown>>
}

export const REGISTRY: Parameter = { kind: 'text', help: 'only of this registry, as registry.example.com' }
export const REPOSITORY: Parameter = { kind: 'text', help: 'only of this repository, as team/app' }
export const DIGEST: Parameter = { kind: 'text', help: 'only this digest, as sha256:…' }
/** Of questions that can be asked of a part of the registries. */
export const PLACE = { registry: REGISTRY, repository: REPOSITORY } as const
