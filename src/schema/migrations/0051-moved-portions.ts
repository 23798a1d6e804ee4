import { sql, type Kysely, type Migration } from 'kysely'

/** Counts the portions of moves, so that an erasure notices one: rows that get another registry may pass behind its position. */
export const movedPortions: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create sequence pulls.portions`.execute(db)
    // Before its first value, a sequence reports that one, too.
    await sql`select nextval('pulls.portions')`.execute(db)
  },
}
