import type pg from 'pg'
import type { Database } from './database.js'

/** What a statement answered: names of columns, and rows of values in their order. */
export type ReadOnlyAnswer = {
  columns: string[]
  rows: unknown[][]
  /** There are more rows than were asked for. */
  more: boolean
}

export type ReadOnlyLimits = { rows: number; seconds: number }

/** `explain` and `show` have no cursor, and few rows. */
const WITHOUT_CURSOR = /^(\s|--[^\n]*\n|\/\*[^]*?\*\/)*(explain|show)\b/i

type Extended = pg.QueryConfig & { queryMode: 'extended'; rowMode: 'array' }

/**
 * Runs one statement in a transaction that is read only, and rolls it back. The extended protocol takes a single statement,
 * so none can end the transaction and go on behind it; a cursor takes only queries, and no more rows than are wanted.
 * Names without a schema are found in `regstat` first, so that SQL written for RegStat runs as it is.
 * The time limit is the server's: PGlite takes the setting and does not heed it (docs/decisions/0011).
 */
export const readOnlyOn =
  (pool: pg.Pool, reuse: 'keep' | 'drop'): Database['readOnly'] =>
  async (text, { rows, seconds }) => {
    const client = await pool.connect()
    const run = async (statement: string): Promise<pg.QueryArrayResult> => {
      const asked: Extended = { text: statement, queryMode: 'extended', rowMode: 'array' }
      return client.query(asked as unknown as pg.QueryArrayConfig)
    }
    try {
      await run('begin transaction read only')
      await run(`set local statement_timeout = ${Math.round(seconds * 1000)}`)
      await run('set local search_path = regstat, public')
      const answer = WITHOUT_CURSOR.test(text) ? await run(text) : await fetchRows(run, text, rows + 1)
      return {
        columns: answer.fields.map(({ name }) => name),
        rows: answer.rows.slice(0, rows) as unknown[][],
        more: answer.rows.length > rows,
      }
    } finally {
      await run('rollback').catch(() => undefined)
      // What a function left behind in its session, such as a lock, ends with it. The embedded database has only the one.
      client.release(reuse === 'drop')
    }
  }

type RunArrays = (statement: string) => Promise<pg.QueryArrayResult>

const fetchRows = async (run: RunArrays, text: string, rows: number): Promise<pg.QueryArrayResult> => {
  await run(`declare answer no scroll cursor for ${text.replace(/[\s;]+$/, '')}`)
  return run(`fetch forward ${rows} from answer`)
}
