import { sql, type RawBuilder } from 'kysely'
import { awaitedByCommit, type Sql } from './database.js'

/**
 * Reads rows through a cursor in batches. The next batch is fetched while the caller processes the current one.
 * @param tx a transaction without another open cursor of this function
 */
export async function* batchesOf<Row>(tx: Sql, query: RawBuilder<Row>, atOnce: number): AsyncGenerator<Row[]> {
  await sql`declare batches no scroll cursor for ${query}`.execute(tx)
  const fetch = async (): Promise<Row[]> =>
    awaitedByCommit(sql<Row>`fetch ${sql.lit(atOnce)} from batches`.execute(tx).then(({ rows }) => rows))
  for (let rows = await fetch(); rows.length > 0;) {
    const next = rows.length < atOnce ? [] : fetch()
    yield rows
    rows = await next
  }
  await sql`close batches`.execute(tx)
}
