import { sql, type Kysely, type Migration } from 'kysely'

/** Counts the portions of moves, so that an erasure notices a move: rows that move to another registry may be missed. */
export const movedPortions: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create sequence pulls.portions`.execute(db)
    // A sequence reports its first value even before that value was used.
    await sql`select nextval('pulls.portions')`.execute(db)
  },
}
