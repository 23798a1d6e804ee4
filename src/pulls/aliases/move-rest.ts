import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/sql/batched.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { lockBoth, type AliasMove } from './alias-move.js'
import { countPortion } from '../roll-up/moved-portions.js'
import { lockDays } from '../roll-up/rolling-days.js'
import { LOCK_SUMMARIES } from '../roll-up/summarize.js'

/**
 * Moves folded requests. No index finds them by registry, so all requests are scanned once, unless none was folded under the alias.
 * @returns the number of the last request that was scanned
 */
export const moveRequests = async (db: Database['jobs'], { from, to }: AliasMove): Promise<number> => {
  const { rows: all } = await sql<{ last: string; wasFolded: boolean }>`
    select coalesce((select max(number) from pulls.requests), 0) as last, exists (
      select from pulls.registries where registry = ${from} and isfinite(folded_to)
    ) as "wasFolded"
  `.execute(db)
  const last = Number(all[0]?.last ?? 0)
  for (let after = 0; all[0]?.wasFolded === true && after < last;) {
    const { rows } = await sql<{ number: string }>`
      select max(number) as number from (
        select number from pulls.requests where number > ${after} order by number limit ${ROWS_AT_ONCE}
      ) next
    `.execute(db)
    const until = Number(rows[0]?.number ?? last)
    await jobStep({ sql: db }, async (tx) => {
      await lockDays(tx)
      const { numAffectedRows = 0n } = await sql`
        update pulls.requests set registry = ${to} where registry = ${from} and number > ${after} and number <= ${until}
      `.execute(tx)
      if (numAffectedRows > 0n) await countPortion(tx)
    })
    after = until
  }
  return last
}

/** Deletes the summaries of the alias: without marks, no query reads them. Summaries that get a new mark meanwhile stay. */
export const deleteSummariesOf = async (db: Sql, { from }: AliasMove): Promise<void> => {
  await sql`delete from pulls.summarized where registry = ${from}`.execute(db)
  await inSteps(
    db,
    sql`delete from pulls.summaries where ctid = any(array(
      select ctid from pulls.summaries s where registry = ${from} and not exists (
        select from pulls.summarized m where m.registry = s.registry and m.grain = s.grain and m.start = s.start
      ) limit ${ROWS_AT_ONCE}
    ))`,
  )
}

/** Tables that must not have rows of the alias, each with the column that follows the registry in an index: one look-up finds a row. */
const INDEXED_COLUMNS = {
  pending: 'at',
  chains: 'repository',
  outcomes: 'repository',
  days: 'repository',
  behaviours: 'day',
  totals: 'repository',
  last_uses: 'repository',
  segments: 'day',
  segment_days: 'day',
} as const

/**
 * Deletes the remaining rows of the alias, unless requests were recorded or folded under it meanwhile.
 * @param after the number of the last request that `moveRequests` scanned
 */
export const dropRegistry = async (tx: Sql, move: AliasMove, after: number): Promise<void> => {
  const { from, to } = move
  await LOCK_SUMMARIES.execute(tx)
  await lockBoth(tx, move)
  const remains = Object.entries(INDEXED_COLUMNS).map(
    ([table, column]) =>
      sql`(select min(${sql.ref(column)}) from ${sql.table(`pulls.${table}`)} where registry = ${from}) is not null`,
  )
  const { rows } = await sql<{ isLeft: boolean }>`select ${sql.join(remains, sql` or `)} as "isLeft"`.execute(tx)
  if (rows[0]?.isLeft === true) return
  await sql`update pulls.requests set registry = ${to} where registry = ${from} and number > ${after}`.execute(tx)
  await countPortion(tx)
  for (const table of ['summarized', 'summaries', 'rolling_days', 'registries'])
    await sql`delete from ${sql.table(`pulls.${table}`)} where registry = ${from}`.execute(tx)
}
