import { sql, type Kysely, type Migration } from 'kysely'

/**
 * Moves of repositories that have begun and not ended: rows of the source may be in either repository. `until` is the time of the
 * rename; null for an alias. If a process is killed, its row stays until the move is finished.
 */
export const openMoves: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create table inventory.open_moves (
      from_id int primary key,
      to_id int not null,
      until timestamptz
    )`.execute(db)
  },
}
