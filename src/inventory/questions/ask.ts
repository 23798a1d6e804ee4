import { sql } from 'kysely'
import { z } from 'zod'
import { isoTime, microsOf } from '../../events/calendar.js'
import { isStorableText } from '../../events/storable-text.js'
import { isCancelled, TIME_LIMITS, type Sql } from '../../storage/sql/database.js'
import { asOf } from '../model/as-of.js'
import { AGES, momentOf } from './age.js'
import { cursorOf, keyIn } from './cursor.js'
import { openMoveNotes, recentDeleteNotes, unknownObjectNotes, unknownPushNotes } from './notes.js'
import { columnsOf, type QueryParameters, type Page, type Parameter, type Question } from './question.js'
import { readPage } from './read-page.js'
import { silencesIn } from './silent-registries.js'
import { unknownRepository } from './unknown-repository.js'
import { joinCounted, notesOf, unknownIn, unknownPlatformsIn, type Unknown } from './unknown.js'
import { UserError } from '../../runtime/user-error.js'

const USUAL_ROWS = 100
export const MOST_ROWS = 1_000
const LONGEST_TEXT = 1_024

/** The parameters of a query are invalid. The message names each invalid parameter, and what is expected. */
export class QuestionError extends Error {}

/** The database cancelled a statement that took too long. The message names parameters that make the query smaller. */
export class QuestionTooLong extends UserError {
  override readonly kind = 'timeout'
}

export type Item = Record<string, string | number | null>

export type InventoryAnswer = {
  items: Item[]
  /** For the parameter `cursor` of the next page; null on the last one. */
  next: string | null
  /** What the words in the items mean. */
  definition: string
  /** For answers from the summary: when it was computed, as ISO 8601; null before the first summary. */
  as_of?: string | null
  /** Counts of what the answer lacks because it is unknown, from the summary or the items; missing if everything is known. */
  unknown?: Partial<Unknown>
  /** The same in sentences, with how to make it known. */
  notes?: string[]
}

/**
 * Answers one page of a question, after resolving the repository. A page may have fewer rows than `limit` although there is a
 * next page: see `readPage`.
 * @param parameters as received: text by name; `limit` (1 to 1,000) and `cursor` beside the parameters of the question.
 * @param caches names of registries that are pull-through caches: unknown contents of these become known in another way
 * @throws QuestionError, QuestionTooLong
 */
export const ask = async (
  db: Sql,
  question: Question,
  parameters: object,
  now: Date,
  caches: readonly string[] = [],
): Promise<InventoryAnswer> => {
  const { limit, cursor, ...query } = checked(question, parameters, now)
  const columns = columnsOf(question, query)
  const after = cursor === undefined ? undefined : keyIn(cursor, question.key)
  if (cursor !== undefined && !after) {
    throw new QuestionError(
      'cursor: is not a cursor of this question; send "next" of the previous page unchanged, or leave the parameter out to start with the first page',
    )
  }
  const located = await withRepositoryIds(db, query)
  const {
    silent,
    unreconciled,
    undecided,
    isAll: isAllSilent,
    notes: silences,
  } = await silencesIn(db, question, located, now)
  const wanted: QueryParameters = {
    ...located,
    now: now.toISOString(),
    ...(silent.length > 0 && { silent: JSON.stringify(silent) }),
    ...(unreconciled.length > 0 && { unreconciled: JSON.stringify(unreconciled) }),
    ...(undecided && { undecided: JSON.stringify(undecided) }),
  }
  const { rows: items, next } = isAllSilent
    ? { rows: [], next: undefined }
    : await pageOf(db, question, wanted, { after, limit, now })
  const unknown = joinCounted([
    await unknownIn(db, question, wanted, caches),
    await unknownPlatformsIn(db, items, caches),
  ])
  const notes = [
    ...(unknown ? notesOf(unknown) : []),
    ...unknownPushNotes(items),
    ...(after ? [] : unknownObjectNotes(question, wanted, items)),
    ...(after ? [] : await recentDeleteNotes(db, question, wanted)),
    ...silences,
    ...(await openMoveNotes(db, wanted)),
    ...(wanted.repository !== undefined && wanted.repository_ids === '' ? [unknownRepository(wanted.repository)] : []),
  ]
  return {
    items: items.map((row) => itemOf(columns, row)),
    next: next ? cursorOf(next) : null,
    definition: question.definition,
    ...(question.fromSummary && { as_of: await asOf(db) }),
    ...(unknown && { unknown: unknown.all }),
    ...(notes.length > 0 && { notes }),
  }
}

/**
 * The parameters, with the name of the registry in place of a host or of another spelling of the name.
 * @param nameOf throws if there is no such registry
 */
export const withRegistryName = async <Parameters extends object>(
  parameters: Parameters,
  nameOf: (given: string) => Promise<string>,
): Promise<Parameters> => {
  const { registry } = parameters as { registry?: unknown }
  return isName(registry) ? { ...parameters, registry: await nameOf(registry) } : parameters
}

/** An invalid name is rejected together with the other parameters. */
const isName = (value: unknown): value is string => text.safeParse(value).success

/** Adds the ids of the repository in the query: one, or one for each of several registries. */
const withRepositoryIds = async (db: Sql, query: QueryParameters): Promise<QueryParameters> => {
  const { repository, registry } = query
  if (repository === undefined) return query
  const { rows } = await sql<{ id: number }>`
    select id from inventory.repositories where name = ${repository}
      and ${registry === undefined ? sql`true` : sql`registry = ${registry}`}
  `.execute(db)
  return { ...query, repository_ids: rows.map(({ id }) => id).join() }
}

const pageOf = async (db: Sql, question: Question, query: QueryParameters, page: Page): ReturnType<typeof readPage> => {
  try {
    return await readPage(db, question, query, page)
  } catch (error) {
    if (!isCancelled(error)) throw error
    const smaller = [...Object.keys(question.parameters).filter((key) => query[key] === undefined), 'a smaller limit']
    throw new QuestionTooLong(`${question.name}: took too long (${TIME_LIMITS}); reduce it with ${smaller.join(', ')}`)
  }
}

/** bigint arrives as text: sums beyond 2^53 bytes, eight million TiB, would be rounded. */
const itemOf = (columns: Question['columns'], row: Record<string, unknown>): Item =>
  Object.fromEntries(
    Object.entries(columns).map(([name, kind]) => {
      const value = row[name] ?? null
      return [name, kind === 'text' || kind === 'time' || value === null ? (value as string | null) : Number(value)]
    }),
  )

const limit = z
  .string()
  .default(String(USUAL_ROWS))
  .refine((text) => /^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= MOST_ROWS, {
    message: `is a number from 1 to ${MOST_ROWS}`,
  })
  .transform(Number)

const text = z
  .string({ error: ({ input }) => (input === undefined ? undefined : 'is given once, as text') })
  .min(1, 'is empty; omit it, or give a value')
  .max(LONGEST_TEXT, `is longer than ${LONGEST_TEXT} characters, which no name is`)
  .refine(isStorableText, 'has characters that no name has')

const schemaOf = (
  { kind, required, choices = [], default: usual, help }: Parameter,
  now: Date,
): z.ZodType<string | undefined> => {
  if (kind === 'choice') {
    const wanted = text.refine((value) => choices.includes(value), `is ${choices.join(', ')}`)
    return usual === undefined ? wanted.optional() : wanted.default(usual)
  }
  if (kind === 'choices') {
    return text
      .transform((value) => [...new Set(value.split(',').map((one) => one.trim()))])
      .refine((values) => values.every((one) => choices.includes(one)), `is a list of ${choices.join(', ')}`)
      .transform((values) => values.join())
      .optional()
  }
  const schema = kind === 'text' ? text : ageSchema(now)
  if (!required) return schema.optional()
  return z
    .string({ error: ({ input }) => (input === undefined ? `is missing, expected ${help}` : 'is given once, as text') })
    .pipe(schema)
}

const ageSchema = (now: Date): z.ZodType<string, string> =>
  text.transform((value, context) => {
    const moment = momentOf(value, now)
    if (moment === undefined) context.addIssue({ code: 'custom', message: `is ${AGES}` })
    // Everything is older than a moment in the future: a typo in a year would offer all images for clean-up.
    else if (moment > isoTime(microsOf(now)))
      context.addIssue({
        code: 'custom',
        message: `is in the future (now ${isoTime(microsOf(now))}), expected ${AGES}`,
      })
    return moment ?? ''
  })

const checked = (
  { name, parameters }: Question,
  given: object,
  now: Date,
): QueryParameters & { limit: number; cursor?: string | undefined } => {
  const schemas = Object.entries(parameters).map(([key, parameter]) => [key, schemaOf(parameter, now)])
  const known = [...Object.keys(parameters), 'limit', 'cursor']
  const unknown = Object.keys(given).filter((key) => !known.includes(key))
  const parsed = z.object({ ...Object.fromEntries(schemas), limit, cursor: text.optional() }).safeParse(given)
  const problems = [
    ...unknown.map((key) => `${key.slice(0, 100)}: is not a parameter of ${name}; there are ${known.join(', ')}`),
    ...(parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`),
  ]
  if (!parsed.success || problems.length > 0) throw new QuestionError(problems.join('; '))
  return parsed.data as QueryParameters & { limit: number; cursor?: string }
}
