import { sql, type Kysely, type Migration } from 'kysely'

/**
 * The last day on which ids from an event's contents were recorded without a mark, so that any sender could send the same ids. Such
 * an event may be delivered again after the upgrade. Null: there were no such ids.
 */
export const markedEventIds: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table event_id_scope add column unmarked_until date`.execute(db)
    await sql`update event_id_scope set unmarked_until = current_date where exists (select from event_ids)`.execute(db)
  },
}
