import { sql, type Kysely, type Migration } from 'kysely'

/** Why a reconciliation that is not finished stopped. */
export const stoppedReconciliations: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table inventory.reconciliations add column stopped_because text`.execute(db)
  },
}
