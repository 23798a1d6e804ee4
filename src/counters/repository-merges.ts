import { sql } from 'kysely'
import type { Sql, Transaction } from '../storage/sql/database.js'

/** Counts a merge of repositories. Must be the last statement of its transaction: learning a registry updates the same row. */
export const countMerge = async (tx: Transaction): Promise<void> => {
  await sql`update registry_identity set repository_merges = repository_merges + 1`.execute(tx)
}

/** The number of merges of repositories. If two results are equal, no repository moved to another registry between them. */
export const mergesSoFar = async (db: Sql): Promise<string> => {
  const { rows } = await sql<{ merges: string }>`
    select repository_merges::text as merges from registry_identity
  `.execute(db)
  return rows[0]?.merges ?? ''
}
