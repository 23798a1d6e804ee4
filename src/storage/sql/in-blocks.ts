import { sql, type RawBuilder } from 'kysely'
import type { Sql } from './database.js'
import { untilNoneIsLeft } from './batched.js'

/** Blocks of 8 kB that a statement reads at most: some ten thousand small rows. */
const BLOCKS_AT_ONCE = 256

/**
 * Does a step for each part of a table, for rows that no index finds. A part is a range of the table's blocks, so that one statement reads a
 * bounded number of rows. A row that is changed moves to another block, maybe to one that was read before: the table is read again
 * until no step finds a row.
 * @param table as `schema.name`
 * @param step gets the condition of its part, and answers how many rows it deleted
 * @returns rows of all steps
 */
export const inBlocks = async (
  db: Sql,
  table: string,
  step: (isInPart: RawBuilder<unknown>) => Promise<number>,
  atOnce = BLOCKS_AT_ONCE,
): Promise<number> =>
  untilNoneIsLeft(async () => {
    let rows = 0
    // The table may grow meanwhile.
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
