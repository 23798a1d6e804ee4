import { sql, type Kysely, type Migration } from 'kysely'

/** The reason why an unfinished reconciliation stopped. */
export const stoppedReconciliations: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table inventory.reconciliations add column stopped_because text`.execute(db)
  },
}
