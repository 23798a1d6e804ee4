import { sql, type Kysely, type Migration } from 'kysely'

/**
 * The last day on which ids from an event's contents were recorded without the registry that a notification token names. Such an
 * event may be delivered again after the upgrade.
 */
export const eventIdScope: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create table event_id_scope as select current_date as unscoped_until`.execute(db)
  },
}
