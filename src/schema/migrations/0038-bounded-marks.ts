import { sql, type Kysely, type Migration } from 'kysely'

const statements = [
  // A restored dump contains the mark of its time: dumps of later states contain no rows that were erased before.
  sql`alter table erasure_marks add column restored_at timestamptz`,
  // 0033 marked the dumps of each installation, whether or not rows were erased. If 0033 runs in this transaction, no rows were erased.
  sql`delete from erasure_marks where what = 'dumps' and exists (
    select from kysely_migration
    where name = '0033-erasure-marks' and kysely_migration.xmin = pg_current_xact_id()::xid
  )`,
]

export const boundedMarks: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
