import { sql } from 'kysely'
import type { Database } from './database.js'

/**
 * Compares the clock of the machine with that of the database's server. The embedded database has the clock of the machine.
 * @returns how many milliseconds the machine is behind, at least: the answer takes a while. Negative if it is ahead
 */
export const msBehindDatabase = async (
  { engine, sql: db }: Pick<Database, 'engine' | 'sql'>,
  machine = (): number => Date.now(),
): Promise<number> => {
  if (engine === 'pglite') return 0
  const { rows } = await sql<{ ms: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms
  `.execute(db)
  return rows[0] === undefined ? 0 : Math.floor(rows[0].ms - machine())
}
