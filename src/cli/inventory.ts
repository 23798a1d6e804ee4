import {
  ask,
  MOST_ROWS,
  QuestionError,
  QuestionTooLong,
  withRegistryName,
  type InventoryAnswer,
  type Item,
} from '../inventory/questions/ask.js'
import { columnsOf, type ColumnKind, type Question } from '../inventory/questions/question.js'
import { cachesIn } from '../registries/registries.js'
import { retryReads } from '../inventory/read-back/unread-manifests.js'
import { summarize } from '../inventory/summary/summarize.js'
import { shownBytes } from './terminal/bytes.js'
import { context } from './command-context.js'
import { CommandError } from './terminal/failure.js'
import { NO_SUMMARY } from './no-summary.js'
import { askOrOpen, clock, configNow } from './stores/open.js'
import { writeCsv, writeError } from './terminal/output.js'
import { parametersOf } from './stores/parameters.js'
import { printJson, printLine, printNotes, printTable, type TableOptions } from './terminal/print.js'

export type InventoryOptions = {
  json?: boolean
  csv?: boolean
  ndjson?: boolean
  all?: boolean
  wide?: boolean
  limit?: string
  cursor?: string
} & Record<string, string | boolean | undefined>

type GetPage = (cursor: string | undefined) => Promise<InventoryAnswer>

/** Prints the answer to one question: a page, or with `all` every row, page after page. */
export const inventory = async (
  wanted: Question,
  { json, csv, ndjson, all, wide, ...typed }: InventoryOptions,
): Promise<void> => {
  const format = { json, csv, ndjson, all, wide }
  const parameters = { ...(all && { limit: String(MOST_ROWS) }), ...parametersOf(typed) }
  const question = { ...wanted, columns: columnsOf(wanted, parameters) }
  await askOrOpen(
    configNow(),
    async (service) =>
      print(question, format, async (cursor) => {
        const query = new URLSearchParams({ ...parameters, ...(cursor !== undefined && { cursor }) })
        return (await service.get(`/inventory/${question.name}?${query.toString()}`)) as InventoryAnswer
      }),
    async ({ stores, registries, registryNames }) => {
      const named = await withRegistryName(parameters, registryNames.nameOf)
      const caches = cachesIn(registries.list())
      await print(question, format, async (cursor) =>
        ask(
          stores.database.sql,
          question,
          { ...named, ...(cursor !== undefined && { cursor }) },
          clock(),
          caches,
        ).catch(asOption),
      )
    },
  )
}

const asOption = (error: unknown): never => {
  if (error instanceof QuestionError || error instanceof QuestionTooLong) throw new CommandError(error.message)
  throw error
}

type Format = Record<'json' | 'csv' | 'ndjson' | 'all' | 'wide', boolean | undefined>

const print = async (question: Question, { json, csv, ndjson, all, wide }: Format, getPage: GetPage): Promise<void> => {
  const columns = Object.keys(question.columns)
  let isEmpty = true
  if (csv) writeCsv([columns])
  const items: Item[] = []
  let answer = await getPage(undefined)
  for (;;) {
    isEmpty &&= answer.items.length === 0
    // Lines are written page by page, so that the number of rows is not limited by memory.
    if (csv) writeCsv(answer.items.map((item) => columns.map((column) => item[column])))
    else if (ndjson) for (const item of answer.items) printLine(JSON.stringify(item))
    else items.push(...answer.items)
    if (!all || answer.next === null) break
    answer = withNotesOf(answer, await getPage(answer.next))
  }
  // A script that queries one object needs to know that the object does not exist.
  if (question.object !== undefined && isEmpty) context().exitCode = 1
  if (csv || ndjson) {
    if (answer.as_of === null) printNotes([NO_SUMMARY])
    hint(answer)
  } else if (json) printJson({ ...answer, items })
  else show(question, answer, { items, wide })
}

/** Adds the notes of previous pages to the next page. The counts of the summary are the same for all pages. */
const withNotesOf = (before: InventoryAnswer, next: InventoryAnswer): InventoryAnswer => {
  const notes = [...new Set([...(before.notes ?? []), ...(next.notes ?? [])])]
  const platforms = (before.unknown?.platforms ?? 0) + (next.unknown?.platforms ?? 0)
  const unknown = { ...before.unknown, ...next.unknown, ...(platforms > 0 && { platforms }) }
  return notes.length === 0 ? next : { ...next, unknown, notes }
}

type Shown = TableOptions & { items: readonly Item[] }

const show = (question: Question, answer: InventoryAnswer, { items, wide }: Shown): void => {
  if (items.length === 0) printLine(answer.next === null ? 'no rows' : 'no rows so far')
  else {
    const columns = Object.entries(question.columns)
    printTable(
      columns.map(([name]) => name.replaceAll('_', ' ')),
      items.map((item) => columns.map(([name, kind]) => shown(item[name] ?? null, kind))),
      { wide },
    )
  }
  if (answer.as_of !== undefined) printLine(answer.as_of === null ? NO_SUMMARY : `as of ${answer.as_of}`)
  hint(answer)
}

/** Written to standard error, so that a pipe receives only the answer. */
const hint = ({ next, notes = [] }: InventoryAnswer): void => {
  printNotes(notes)
  if (next !== null) writeError(`there is more: --cursor ${next}, or --all`)
}

/** Bytes in readable units, times to the second. */
const shown = (value: string | number | null, kind: ColumnKind): string | number | null => {
  if (kind === 'time' && typeof value === 'string') return `${value.slice(0, 19).replace('T', ' ')} UTC`
  return kind === 'bytes' && typeof value === 'number' ? shownBytes(value) : value
}

/** Recomputes the summary now. */
export const refresh = async (): Promise<void> => {
  await askOrOpen(
    configNow(),
    async (service) => {
      await service.post('/inventory/summary')
    },
    async ({ stores }) => {
      await summarize(stores.database, clock)
    },
  )
  printLine('the summary is up to date')
}

/**
 * Schedules an immediate retry of all manifests that could not be read. A running service reads them, or else the next service
 * that starts.
 */
export const retryReadsNow = async (): Promise<void> => {
  const { manifests } = await askOrOpen<{ manifests: number }>(
    configNow(),
    async (service) => (await service.post('/inventory/retry-reads')) as { manifests: number },
    async ({ stores }) => ({ manifests: await retryReads(stores.database) }),
  )
  printLine(`${manifests} manifests will be read again`)
}
