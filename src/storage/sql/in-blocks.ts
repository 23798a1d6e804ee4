import { sql, type RawBuilder } from 'kysely'
import type { Sql } from './database.js'
import { repeatUntilEmpty } from './batched.js'

/** The largest number of 8 kB blocks that a statement reads: some ten thousand small rows. */
const BLOCKS_AT_ONCE = 256

/**
 * Runs a step for each part of a table, for rows that no index finds. A part is a range of the table's blocks, so that one
 * statement reads a bounded number of rows. A changed row moves to another block, maybe to one that was already read. So the
 * table is read again until no step finds a row.
 * @param table as `schema.name`
 * @param step gets the condition of its part, and returns the number of rows that it deleted
 * @returns the number of rows of all steps
 */
export const inBlocks = async (
  db: Sql,
  table: string,
  step: (isInPart: RawBuilder<unknown>) => Promise<number>,
  atOnce = BLOCKS_AT_ONCE,
): Promise<number> =>
  repeatUntilEmpty(async () => {
    let rows = 0
    // The table may grow during the loop.
    for (let from = 0; from < (await blocksOf(db, table)); from += atOnce)
      rows += await step(sql`ctid >= ${`(${from},0)`}::tid and ctid < ${`(${from + atOnce},0)`}::tid`)
    return rows
  })

const blocksOf = async (db: Sql, table: string): Promise<number> => {
  const { rows } = await sql<{ blocks: string }>`
    select pg_relation_size(${table}::regclass) / current_setting('block_size')::bigint as blocks
  `.execute(db)
  return Number(rows[0]?.blocks ?? 0)
}
