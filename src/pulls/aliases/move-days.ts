import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { lockBoth, type AliasMove } from './alias-move.js'
import { countPortion } from '../roll-up/moved-portions.js'
import { moveSegments } from './move-segments.js'
import { renameOutcomes } from './rename-outcomes.js'
import { firstOutcomesOf } from '../roll-up/first-outcomes.js'
import { LOCK_SUMMARIES } from '../roll-up/summarize.js'

/** The next rolled-up day of an alias, after another day, that has rows to move. */
export const nextDayToMove = async (db: Sql, { from }: AliasMove, after: string): Promise<string | undefined> => {
  const next = (table: string): RawBuilder<unknown> =>
    sql`(select min(day) from ${sql.table(table)} where registry = ${from} and day > ${after}::date)`
  const behind = sql`((${after}::date + 1)::timestamp at time zone 'UTC')`
  const { rows } = await sql<{ day: string }>`
    select day::text from (
      select least(
        ${next('pulls.days')}, ${next('pulls.behaviours')}, ${next('pulls.segment_days')},
        (select (min(at) at time zone 'UTC')::date from (${firstOutcomesOf(from, { from: behind, most: 1 })}) first)
      ) as day
    ) next
    where day < (select rolled_to from pulls.registries where registry = ${from} and isfinite(rolled_to))
  `.execute(db)
  return rows[0]?.day
}

/**
 * Moves some rows of a day that is rolled up under both names, with its outcomes and readings, but its imported requests all at once. Moved rows exist beside the existing
 * rows, and readers add them up. The day and its month are summarized again.
 * @returns the number of moved rows: 0 if none are left
 */
export const moveDay = async (
  tx: Sql,
  move: AliasMove,
  { day, most }: { day: string; most: number },
): Promise<number> => {
  const { from, to } = move
  // This lock comes first: a running summary may take long, and does not wait for other locks.
  await LOCK_SUMMARIES.execute(tx)
  await lockBoth(tx, move)
  const { rows } = await sql<{ isRolled: boolean }>`
    select bool_and(rolled_to > ${day}::date) as "isRolled" from pulls.registries
    where registry = any(${[from, to]}::text[])
  `.execute(tx)
  if (rows[0]?.isRolled !== true) return 0
  // If the outcomes of one name were deleted after their retention, answers read the rows of the day.
  await sql`
    update pulls.registries set kept_from = latest.kept_from
    from (select max(kept_from) as kept_from from pulls.registries where registry = any(${[from, to]}::text[])) latest
    where registry = any(${[from, to]}::text[]) and pulls.registries.kept_from < latest.kept_from
  `.execute(tx)
  // The day may have been summarized since the previous portion.
  await sql`
    delete from pulls.summarized where registry = any(${[from, to]}::text[]) and (
      grain = 'day' and start = ${day}::date or grain = 'month' and start = date_trunc('month', ${day}::timestamp)::date
    )
  `.execute(tx)
  let moved = await moveSegments(tx, move, day)
  for (const part of [moveOutcomes, moveReadings, moveRows]) {
    if (moved >= most) break
    moved += await part(tx, move, { day, most: most - moved })
  }
  if (moved > 0) await countPortion(tx)
  return moved
}

type Portion = { day: string; most: number }

/** Moves outcomes, and copies the readings of their origins, because answers may read them at once. */
const moveOutcomes = async (tx: Sql, { from, to }: AliasMove, { day, most }: Portion): Promise<number> => {
  const start = sql`(${day}::timestamp at time zone 'UTC')`
  const end = sql`((${day}::timestamp + interval '1 day') at time zone 'UTC')`
  const { rows } = await sql<{ row_id: string }>`
    select ctid as row_id from (${firstOutcomesOf(from, { from: start, until: end, most })}) first limit ${most}
  `.execute(tx)
  if (rows.length === 0) return 0
  const isMoved = sql`a.registry = ${from} and a.ctid = any(${rows.map(({ row_id }) => row_id)}::tid[])`
  await sql`
    insert into pulls.behaviours (day, registry, repository, origin, behaviour, likely)
    select b.day, ${to}, b.repository, b.origin, b.behaviour, b.likely
    from (select distinct repository, origin from pulls.outcomes a where ${isMoved}) asker
      join pulls.behaviours b on b.registry = ${from} and b.day = ${day}::date
        and b.repository = asker.repository and b.origin = asker.origin
    on conflict do nothing
  `.execute(tx)
  // A session without a manifest may have begun on a day that is over, and continued under the name.
  await renameOutcomes(tx, to, isMoved)
  return rows.length
}

/** Moves the remaining readings of a day. Their outcomes were moved, or were deleted after their retention. */
const moveReadings = async (tx: Sql, { from, to }: AliasMove, { day, most }: Portion): Promise<number> => {
  const { rows } = await sql<{ moved: number }>`
    with moved as (
      delete from pulls.behaviours where ctid = any(array(
        select ctid from pulls.behaviours where registry = ${from} and day = ${day}::date limit ${most}
      ))
      returning day, repository, origin, behaviour, likely
    ), stored as (
      insert into pulls.behaviours (day, registry, repository, origin, behaviour, likely)
      select day, ${to}, repository, origin, behaviour, likely from moved
      on conflict do nothing
    )
    select count(*)::int as moved from moved
  `.execute(tx)
  return rows[0]?.moved ?? 0
}

const moveRows = async (tx: Sql, { from, to }: AliasMove, { day, most }: Portion): Promise<number> => {
  const { numAffectedRows } = await sql`
    update pulls.days set registry = ${to} where ctid = any(array(
      select ctid from pulls.days where registry = ${from} and day = ${day}::date limit ${most}
    ))
  `.execute(tx)
  return Number(numAffectedRows ?? 0)
}
