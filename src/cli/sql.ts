import { isRefusal } from '../storage/sql/database.js'
import { openPostgres } from '../storage/sql/postgres.js'
import { MOST_SECONDS } from '../storage/sql/query-copy.js'
import type { ReadOnlyAnswer } from '../storage/sql/read-only.js'
import { refusalOf } from '../storage/sql/statement-check.js'
import { CommandError } from './terminal/failure.js'
import { configNow, warnOfEmbedded } from './stores/open.js'
import { writeCsv, writeError } from './terminal/output.js'
import { printJson, printLine, printTable } from './terminal/print.js'
import { findService } from './stores/service-client.js'

export type SqlOptions = { timeout: string; limit: string; json?: boolean; csv?: boolean; wide?: boolean }

/** Runs one read-only query, and prints its rows. */
export const sqlNow = async (statement: string, { timeout, limit, json, csv, wide }: SqlOptions): Promise<void> => {
  if (statement.includes('\0')) throw new CommandError('the statement has a NUL character, which SQL cannot contain')
  const limits = { rows: wholeNumber('--limit', limit, 100_000), seconds: wholeNumber('--timeout', timeout, 3_600) }
  const answer = await run(statement, limits).catch((error: unknown) => {
    if (isRefusal(error)) throw new CommandError(refusalOf(statement, error))
    throw error
  })
  const { columns, rows, more } = answer
  if (csv) writeCsv([columns, ...rows])
  else if (json) printJson(rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]]))))
  else if (rows.length === 0) printLine('no rows')
  else
    printTable(
      columns,
      rows.map((row) => row.map(shown)),
      { wide },
    )
  if (more) writeError(`only the first ${limits.rows} rows are shown: --limit takes more`)
}

const run = async (statement: string, limits: { rows: number; seconds: number }): Promise<ReadOnlyAnswer> => {
  const config = configNow()
  warnOfEmbedded(config)
  if (config.database_url !== undefined) {
    // Not through the stores: opening them updates the schema, for which a read-only role has no right.
    const database = openPostgres(config.database_url)
    return database.readOnly(statement, limits).finally(database.close)
  }
  const service = findService(config)
  if (!service) return (await import('./embedded-sql.js')).answerInTime(statement, limits)
  const seconds = Math.min(limits.seconds, MOST_SECONDS)
  return (await service.post('/inventory/sql', { statement, limit: limits.rows, seconds })) as ReadOnlyAnswer
}

const wholeNumber = (option: string, text: string, most: number): number => {
  if (/^[1-9]\d*$/.test(text) && Number(text) <= most) return Number(text)
  throw new CommandError(`${option}: "${text}" is not a whole number from 1 to ${most}`)
}

const shown = (value: unknown): string | number | null => {
  if (value === null || value === undefined) return null
  if (typeof value === 'string' || typeof value === 'number') return value
  return value instanceof Date ? value.toISOString() : JSON.stringify(value)
}
