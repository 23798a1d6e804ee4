import type { Response } from 'express'
import { LARGEST_ANSWER, sizeOf } from '../storage/sql/answer-size.js'
import { csvOf } from '../runtime/csv.js'
import { RefusedRequest } from './problem.js'

type Rows = readonly Readonly<Record<string, unknown>>[]

/** An answer with rows: `whole` for JSON, and the columns and rows for CSV and NDJSON. */
export type RowAnswer = { whole: object; columns: readonly string[]; rows: Rows }

const FORMATS: Record<string, (response: Response, answer: RowAnswer) => void> = {
  json: (response, { whole }) => response.json(whole),
  csv: (response, { columns, rows }) => response.type('text/csv').send(csvOf(columns, rows)),
  ndjson: (response, { rows }) => response.type('application/x-ndjson').send(ndjsonOf(rows)),
}

/** Returns a function that sends rows in a format. @throws RefusedRequest for an unknown format */
export const formatOf = (name: unknown = 'json'): ((response: Response, answer: RowAnswer) => void) => {
  const send = typeof name === 'string' && Object.hasOwn(FORMATS, name) ? FORMATS[name] : undefined
  if (!send) throw new RefusedRequest(400, `format: expected ${Object.keys(FORMATS).join(', ')}`)
  return (response, answer) => {
    checkSize(answer.rows)
    send(response, answer)
  }
}

/** @throws RefusedRequest if rows exceed the size limit of an answer */
export const checkSize = (rows: Rows): void => {
  let size = 0
  for (const row of rows) size += sizeOf(row)
  if (size <= LARGEST_ANSWER) return
  const most = LARGEST_ANSWER / 1024 / 1024
  throw new RefusedRequest(400, `limit: the answer has more than ${most} MiB; ask for fewer rows with a smaller limit`)
}

export const ndjsonOf = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
