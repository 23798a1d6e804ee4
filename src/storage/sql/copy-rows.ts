import { CompiledQuery } from 'kysely'
import type { Sql } from './database.js'

/** Writes whole rows in the binary format of COPY. Resolves when the server has taken enough of them to continue. */
export type WriteRows = (rows: Uint8Array) => Promise<void>

/** Writes all rows of one COPY. */
export type ProduceRows = (write: WriteRows) => Promise<void>

/** The beginning of a file of rows: a signature, no flags, no extension (PostgreSQL's manual, "COPY", "Binary Format"). */
export const COPY_HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
/** The end of a file of rows: -1 in place of a number of columns. */
export const COPY_TRAILER = Buffer.from([0xff, 0xff])

/**
 * Inserts rows with COPY, in the transaction. No other statement of the transaction may run meanwhile. Any row that cannot be inserted, for
 * example because its key exists, fails the transaction.
 * @param into a table with its columns, as `schema.name (first, second)`
 * @param produce writes the rows; its error ends the COPY and is thrown
 */
export const copyRows = async (tx: Sql, into: string, produce: ProduceRows): Promise<void> => {
  const statement = CompiledQuery.raw(`copy ${into} from stdin (format binary)`, [produce])
  // Each database has a cursor for its dialect of Kysely: the cursor returns no rows, and copies before its first answer.
  for await (const { rows } of tx.getExecutor().stream(statement, 1)) {
    if (rows.length > 0) throw new Error('a COPY returned rows')
  }
}
