import { sql, type Kysely, type Migration } from 'kysely'

/** When a service with a clock that it trusts last ran: see schema/seen-at.ts. */
export const seenAt: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`alter table installation add column seen_at timestamptz`.execute(db)
  },
}
