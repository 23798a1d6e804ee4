import type { Response } from 'express'
import { csvOf } from './csv.js'
import { BadRequest } from './problem.js'

type Rows = readonly Readonly<Record<string, unknown>>[]

/** An answer that is made of rows: the whole of it for JSON, and what CSV and NDJSON have of it. */
export type Rowed = { whole: object; columns: readonly string[]; rows: Rows }

const FORMATS: Record<string, (response: Response, answer: Rowed) => void> = {
  json: (response, { whole }) => response.json(whole),
  csv: (response, { columns, rows }) => response.type('text/csv').send(csvOf(columns, rows)),
  ndjson: (response, { rows }) => response.type('application/x-ndjson').send(ndjsonOf(rows)),
}

/** How to send rows in the format that was asked for. @throws BadRequest */
export const formatOf = (name: unknown = 'json'): ((response: Response, answer: Rowed) => void) => {
  const send = typeof name === 'string' && Object.hasOwn(FORMATS, name) ? FORMATS[name] : undefined
  if (!send) throw new BadRequest(`400 Bad Request: format: expected ${Object.keys(FORMATS).join(', ')}`)
  return send
}

export const ndjsonOf = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
