import { sql } from 'kysely'
import type { Sql } from '../storage/sql/database.js'

/**
 * Raises sequences that are behind their tables, as after an upgrade of PostgreSQL by logical replication, which does not copy sequences:
 * new rows would get numbers that other rows have.
 */
export const raiseSequences = async (db: Sql): Promise<void> => {
  const { rows } = await sql<{ schema: string; table: string; column: string; sequence: string }>`
    select n.nspname as schema, c.relname as table, a.attname as column,
      pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) as sequence
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where a.attidentity <> '' and n.nspname in ('inventory', 'pulls') and c.relkind = 'r'
  `.execute(db)
  for (const { schema, table, column, sequence } of rows) {
    await sql`
      select setval(${sequence}::regclass, largest.number)
      from (select max(${sql.ref(column)})::bigint as number from ${sql.table(`${schema}.${table}`)}) largest,
        ${sql.raw(sequence)} current
      where largest.number >= current.last_value + current.is_called::int
    `.execute(db)
  }
}
