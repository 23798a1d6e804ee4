import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { AliasMove } from './alias-move.js'
import { keepNewest } from '../fold-job/last-uses.js'
import { firstOutcomesOf } from '../roll-up/first-outcomes.js'

type Portion = { border: string; most: number }

const affected = async (tx: Sql, statement: RawBuilder<unknown>): Promise<number> =>
  Number((await statement.execute(tx)).numAffectedRows ?? 0)

/**
 * Deletes some rows of days whose roll-up was not completed. The outcomes of the alias are moved, and rows of the name would count as
 * soon as its `rolled_to` passes them.
 * @returns the number of deleted rows
 */
export const dropUnfinished = async (tx: Sql, { from, to }: AliasMove, { border, most }: Portion): Promise<number> => {
  const isUnfinished = (registry: string): RawBuilder<unknown> =>
    sql`registry = ${registry} and day >= (select rolled_to from pulls.registries where registry = ${registry})`
  let dropped = 0
  for (const table of ['pulls.days', 'pulls.behaviours']) {
    for (const which of [isUnfinished(from), sql`${isUnfinished(to)} and day < ${border}::date`]) {
      dropped += await affected(
        tx,
        sql`delete from ${sql.table(table)} where ctid = any(array(
          select ctid from ${sql.table(table)} where ${which} limit ${most - dropped}
        ))`,
      )
    }
  }
  return dropped
}

/** Moves some outcomes of live requests of days that are not rolled up. @returns the number of moved rows */
export const moveOutcomes = async (tx: Sql, { from, to }: AliasMove, { border, most }: Portion): Promise<number> => {
  const start = sql`(${border}::date::timestamp at time zone 'UTC')`
  const first = firstOutcomesOf(from, { from: start, most, isLive: true })
  return affected(
    tx,
    sql`update pulls.outcomes set registry = ${to} where ctid = any(array(
      select ctid from (${first}) first limit ${most}
    ))`,
  )
}

/**
 * Adds the totals of some repositories to the totals of the name. If only the alias has totals of a repository, the row keeps its
 * `number`, so that no series of `/metrics` falls.
 * @returns the number of repositories
 */
export const moveTotals = async (tx: Sql, { from, to }: AliasMove, most: number): Promise<number> => {
  const { rows } = await sql<{ moved: number }>`
    with chosen as materialized (
      select repository, invocations, pulls from pulls.totals where registry = ${from} limit ${most}
    ), added as (
      update pulls.totals t set invocations = t.invocations + chosen.invocations, pulls = t.pulls + chosen.pulls
      from chosen where t.registry = ${to} and t.repository = chosen.repository
      returning t.repository
    ), deleted as (
      delete from pulls.totals where registry = ${from} and repository in (select repository from added)
    ), renamed as (
      update pulls.totals set registry = ${to}
      where registry = ${from} and repository in (select repository from chosen except select repository from added)
    )
    select count(*)::int as moved from chosen
  `.execute(tx)
  return rows[0]?.moved ?? 0
}

/** Moves some last uses; if both names have one, the newer times win. @returns the number of moved rows */
export const moveLastUses = async (tx: Sql, { from, to }: AliasMove, most: number): Promise<number> =>
  affected(
    tx,
    sql`
      with moved as (
        delete from pulls.last_uses where ctid = any(array(
          select ctid from pulls.last_uses where registry = ${from} limit ${most}
        )) returning *
      )
      insert into pulls.last_uses as u (registry, repository, reference, kind, used_at, pulled_at)
      select ${to}, repository, reference, kind, used_at, pulled_at from moved
      order by repository, reference, kind
      ${keepNewest}
    `,
  )
