import { sql, type Kysely, type Migration } from 'kysely'

/** The reason why a reconciliation did not read the catalog of its registry to the end. */
export const catalogError: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table inventory.reconciliations add column catalog_error text`.execute(db)
  },
}
