import { sql, type Kysely, type Migration } from 'kysely'

const lastNumber = (table: string, column: string) => sql`
  select setval(pg_get_serial_sequence(${table}, ${column}), greatest(max(${sql.ref(column)}), 1), max(${sql.ref(column)}) is not null)
  from ${sql.table(table)}
`

/**
 * Every batch took a number for each of its repositories, whether they were new or not. The sequences begin again after the largest
 * number in use. The locks wait for transactions that took a number before.
 */
export const unusedNumbers: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`lock table inventory.repositories, pulls.totals in share row exclusive mode`.execute(db)
    await lastNumber('inventory.repositories', 'id').execute(db)
    await lastNumber('pulls.totals', 'number').execute(db)
  },
}
