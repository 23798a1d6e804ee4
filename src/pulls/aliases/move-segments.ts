import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { JoinWindows } from '../model/join-windows.js'
import { countPortion } from '../roll-up/moved-portions.js'
import { restartRollingDays } from '../roll-up/rolling-days.js'
import { LOG_SOURCE } from '../segments/log-source.js'
import type { AliasMove } from './alias-move.js'
import { lockJoint } from './move-live.js'
import { renameOutcomes } from './rename-outcomes.js'

/** Whether a file `a` of the alias was imported under the name, too, as the file `n`. */
const isSameFile = ({ from, to }: AliasMove): RawBuilder<unknown> => sql`
  a.registry = ${from} and n.registry = ${to} and a.lines = n.lines and a.lines > 0 and a.chain = n.chain`

/**
 * Moves the imported requests of a day with all their outcomes: one without the other would be folded twice. The day is marked as
 * changed, so that the next fold joins the requests of both names. Requests of a file that was imported under both names are dropped.
 * The transaction must have the lock of both names.
 * @returns the number of moved rows: 0 if the alias has no imported requests of the day
 */
export const moveSegments = async (tx: Sql, move: AliasMove, day: string): Promise<number> => {
  const { from, to } = move
  const { rows } = await sql`
    with moved as (
      delete from pulls.segment_days where registry = ${from} and day = ${day}::date and not expired returning day, changed_at
    )
    insert into pulls.segment_days as d (registry, day, changed_at) select ${to}, day, changed_at from moved
    on conflict (registry, day) do update
      set changes = d.changes + 1, changed_at = greatest(d.changed_at, excluded.changed_at)
    returning 1
  `.execute(tx)
  const isMoved = sql`registry = ${from} and day = ${day}::date`
  await sql`
    delete from pulls.segments where ${isMoved} and file in (
      select a.number from logs.files a, logs.files n where ${isSameFile(move)}
    )
  `.execute(tx)
  await sql`update pulls.segments set registry = ${to} where ${isMoved}`.execute(tx)
  return rows.length + (await moveOutcomes(tx, move, day))
}

/** Moves the outcomes of imported requests. An outcome that both names have is one of the same lines. */
const moveOutcomes = async (tx: Sql, { from, to }: AliasMove, day: string): Promise<number> => {
  const isMoved = sql`a.registry = ${from} and a.source = ${LOG_SOURCE} and a.at >= ${startOf(day)} and a.at < ${startOf(day)} + interval '1 day'`
  return renameOutcomes(tx, to, isMoved)
}

const startOf = (day: string): RawBuilder<unknown> => sql`(${day}::timestamp at time zone 'UTC')`

/**
 * Moves the imported requests of the first day that the alias has not rolled up. Days move in their order, because a day continues the
 * pulls of the day before.
 * @returns the number of moved rows: 0 if none are left, or if one name has to be folded or rolled up first
 */
export const moveImportedDay = async (tx: Sql, move: AliasMove, windows: JoinWindows): Promise<number> => {
  if (!(await lockJoint(tx, move, windows))) return 0
  const { rows } = await sql<{ day: string }>`
    with rolled as (select rolled_to from pulls.registries where registry = ${move.from})
    select day::text as day from (
      select least(
        (select min(day) from pulls.segment_days, rolled where registry = ${move.from} and day >= rolled_to and not expired),
        (
          select (min(at) at time zone 'UTC')::date from pulls.outcomes, rolled
          where registry = ${move.from} and source = ${LOG_SOURCE} and (
            not isfinite(rolled_to) or at >= (rolled_to::timestamp at time zone 'UTC')
          )
        )
      ) as day
    ) first where day is not null
  `.execute(tx)
  if (!rows[0]) return 0
  await restartRollingDays(tx, [move.from, move.to])
  const moved = await moveSegments(tx, move, rows[0].day)
  await countPortion(tx)
  return moved
}

/**
 * Moves the records of files, after their requests. A file that was imported under both names is recorded once. An import that is
 * running continues with its record under the name.
 */
export const moveFiles = async (tx: Sql, move: AliasMove): Promise<void> => {
  const { from, to } = move
  await sql`
    delete from logs.files where number in (select a.number from logs.files a, logs.files n where ${isSameFile(move)})
      and not exists (select from pulls.segments where file = logs.files.number and registry = ${from})
  `.execute(tx)
  await sql`
    with moved as (
      select number from logs.files where registry = ${from}
        and number not in (select a.number from logs.files a, logs.files n where ${isSameFile(move)})
    ), heads as (
      update logs.heads set registry = ${to} where file in (select number from moved)
    )
    update logs.files set registry = ${to} where number in (select number from moved)
  `.execute(tx)
  // The roll-up of the name says which of its days are final.
  await sql`delete from pulls.segment_days where registry = ${from} and expired`.execute(tx)
}
