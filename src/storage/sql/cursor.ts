import { sql, type RawBuilder } from 'kysely'
import { toldByCommit, type Sql } from './database.js'

/**
 * Reads rows through a cursor, so many at a time: the next are on their way while those before are worked on.
 * @param tx a transaction, in which there is no other cursor meanwhile.
 */
export async function* batchesOf<Row>(tx: Sql, query: RawBuilder<Row>, atOnce: number): AsyncGenerator<Row[]> {
  await sql`declare batches no scroll cursor for ${query}`.execute(tx)
  const fetch = async (): Promise<Row[]> =>
    toldByCommit(sql<Row>`fetch ${sql.lit(atOnce)} from batches`.execute(tx).then(({ rows }) => rows))
  for (let rows = await fetch(); rows.length > 0;) {
    const next = rows.length < atOnce ? [] : fetch()
    yield rows
    rows = await next
  }
  await sql`close batches`.execute(tx)
}
