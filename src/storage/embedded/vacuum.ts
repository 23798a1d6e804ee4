import { sql } from 'kysely'
import type { Database, Sql } from '../sql/database.js'
import { createPause } from '../../runtime/yield.js'

/** A table with fewer dead rows is not worth a vacuum. */
const FEW_DEAD = 1_000
/** A table with a smaller share of dead rows is not worth a vacuum. Autovacuum's default is the same. */
const SMALL_SHARE = 0.2
/** Bytes of a table without indexes. The bloat of a smaller table is harmless. */
const SMALL_BYTES = 1_048_576
/** Bytes of a table with its indexes. The database is blocked while a table is vacuumed: 520 MB took 2.3 s. */
const LARGEST_BYTES = 256 * 1_048_576

/** Half of the transaction ids that may be in use at once. */
const HALF_OF_IDS = 1_000_000_000

/**
 * Vacuums tables of the embedded database, so that the space of rows that were updated or deleted is used again. PostgreSQL's
 * autovacuum needs other processes, and here there are none. The event loop turns between two tables.
 *
 * The counts of dead rows begin with the process. So a table that this process has not vacuumed yet is vacuumed whatever its count.
 * @param largestBytes tables that are larger, with their indexes, are left out
 * @returns the names of the tables that were vacuumed
 */
export const vacuumTables = async (db: Sql, largestBytes = LARGEST_BYTES): Promise<string[]> => {
  // Counts of the last second may not be in the view yet.
  await sql`select pg_stat_force_next_flush()`.execute(db)
  const pause = createPause(0)
  const tables = await tablesToVacuum(db, largestBytes)
  for (const { schema, name } of tables) {
    await pause()
    await sql`vacuum ${sql.id(schema, name)}`.execute(db)
  }
  return tables.map(({ schema, name }) => `${schema}.${name}`)
}

const tablesToVacuum = async (db: Sql, largestBytes: number): Promise<{ schema: string; name: string }[]> => {
  const { rows } = await sql<{ schema: string; name: string }>`
    select schemaname as schema, relname as name
    from pg_stat_user_tables
    where pg_relation_size(relid) >= ${SMALL_BYTES} and pg_total_relation_size(relid) <= ${largestBytes}
      and (last_vacuum is null or n_dead_tup >= ${FEW_DEAD} and n_dead_tup >= ${SMALL_SHARE}::float8 * (n_live_tup + n_dead_tup))
    order by pg_total_relation_size(relid)
  `.execute(db)
  return rows
}

/** The tables that are too large for a vacuum of the embedded database. */
export const largeTables = async ({ engine, sql: db }: Database, largestBytes = LARGEST_BYTES): Promise<string[]> => {
  if (engine === 'postgresql') return []
  const { rows } = await sql<{ name: string }>`
    select schemaname || '.' || relname as name from pg_stat_user_tables
    where pg_total_relation_size(relid) > ${largestBytes} order by 1
  `.execute(db)
  return rows.map(({ name }) => name)
}

/**
 * Whether the embedded database has used half of its transaction ids. Only a vacuum of all tables in all databases would free them,
 * and the databases that `initdb` made as templates cannot be reached.
 */
export const usesManyTransactionIds = async ({ engine, sql: db }: Database, most = HALF_OF_IDS): Promise<boolean> => {
  if (engine === 'postgresql') return false
  const { rows } = await sql`select from pg_database where age(datfrozenxid) > ${most}::int`.execute(db)
  return rows.length > 0
}
