import { sql } from 'kysely'
import type { Sql, Transaction } from '../storage/sql/database.js'

/** Counts a merge of repositories, in its transaction and as its last statement: registries that are learned update the same row. */
export const countMerge = async (tx: Transaction): Promise<void> => {
  await sql`update registry_identity set repository_merges = repository_merges + 1`.execute(tx)
}

/** How many merges of repositories there were. If two answers are equal, no repository got another registry between them. */
export const mergesSoFar = async (db: Sql): Promise<string> => {
  const { rows } = await sql<{ merges: string }>`
    select repository_merges::text as merges from registry_identity
  `.execute(db)
  return rows[0]?.merges ?? ''
}
