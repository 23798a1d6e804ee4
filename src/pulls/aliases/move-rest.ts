import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { inSteps, ROWS_AT_ONCE } from '../../storage/sql/batched.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { lockBoth, type AliasMove } from './alias-move.js'
import { countPortion } from '../roll-up/moved-portions.js'
import { lockDays } from '../roll-up/rolling-days.js'
import { LOCK_SUMMARIES } from '../roll-up/summarize.js'

/**
 * Moves requests that were folded, which nobody finds by their registry: they are looked through once, and not at all where
 * none was folded under the alias.
 * @returns the number of the last one that was looked at.
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

/** Forgets what was summarized of a registry: without its marks nobody reads it. What is summarized again meanwhile stays. */
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

/** What has to be gone, and the column after the registry in an index of it: whether there is a row is one look. */
const INDEXED_COLUMNS = {
  pending: 'at',
  chains: 'repository',
  outcomes: 'repository',
  days: 'repository',
  behaviours: 'day',
  totals: 'repository',
  last_uses: 'repository',
} as const

/**
 * Drops what is left of the alias, unless something was folded under it meanwhile.
 * @param after the number of the last request that was moved.
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
