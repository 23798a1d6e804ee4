import { sql } from 'kysely'
import type { Sql } from '../sql/database.js'

/** Bytes of the write-ahead log after which a checkpoint is due. */
const LONGEST_LOG_BYTES = 128 * 2 ** 20

/**
 * Makes a checkpoint if the write-ahead log since the last one is long. The embedded database makes checkpoints only when it starts
 * and ends: PostgreSQL asks another process for them, and here there is no other process. Without checkpoints the log grows for ever.
 * @returns whether a checkpoint was made
 */
export const checkpointIfDue = async (db: Sql, longest = LONGEST_LOG_BYTES): Promise<boolean> => {
  const { rows } = await sql<{ bytes: string }>`
    select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), redo_lsn)::text as bytes from pg_control_checkpoint()
  `.execute(db)
  if (Number(rows[0]?.bytes) <= longest) return false
  await sql`checkpoint`.execute(db)
  return true
}
