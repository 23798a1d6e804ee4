import { sql, type RawBuilder } from 'kysely'
import { MICROS_PER_SECOND } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import type { JoinWindows } from '../model/join-windows.js'
import { lockBoth, type AliasMove } from './alias-move.js'
import { moveChains, movePending } from './move-chains.js'
import { countPortion } from '../roll-up/moved-portions.js'
import { dropUnfinished, moveLastUses, moveOutcomes, moveTotals } from './move-settled.js'
import { restartProvisional } from '../provisional/provisional-run.js'
import { restartRollingDays } from '../roll-up/rolling-days.js'
import { settledAfter } from '../roll-up/roll-up.js'

/**
 * `blocked`: one name has yet to fold or roll up days that the other has rolled up; `more`: there may be more rows to move.
 */
type LiveState = 'blocked' | 'more' | 'done'

/**
 * Moves some of the live state: pending requests, chains, outcomes of days that are not rolled up, and totals. The fold continues them
 * as if they had been recorded under the name. Between two calls, either name may be folded and rolled up, so each call reads the
 * state of both again. An outcome that a request may still change always stays with its chain.
 * @param most approximate number of rows to move
 */
export const moveLive = async (
  tx: Sql,
  move: AliasMove,
  { windows, most }: { windows: JoinWindows; most: number },
): Promise<LiveState> => {
  const joint = await lockJoint(tx, move, windows)
  if (!joint) return 'blocked'
  const { border } = joint
  await restartRollingDays(tx, [move.from, move.to])
  const parts = [
    async (room: number) => dropUnfinished(tx, move, { border, most: room }),
    async () => setJoint(tx, move, joint),
    async (room: number) => moveChains(tx, move, { windows, border, most: room }),
    async (room: number) => movePending(tx, move, room),
    async (room: number) => moveOutcomes(tx, move, { border, most: room }),
    async (room: number) => moveTotals(tx, move, room),
    async (room: number) => moveLastUses(tx, move, room),
  ]
  await restartProvisional(tx)
  let room = most
  for (const part of parts) for (let moved = 1; moved > 0 && room > 0; room -= moved) moved = await part(room)
  if (room < most) await countPortion(tx)
  return room <= 0 ? 'more' : 'done'
}

/**
 * Locks both names.
 * @returns their joint state; undefined if one of them has to be folded or rolled up first
 */
export const lockJoint = async (tx: Sql, move: AliasMove, windows: JoinWindows): Promise<Joint | undefined> => {
  await lockBoth(tx, move)
  const { isRolled, isFolded, ...joint } = await jointOf(tx, move, windows)
  if (!isRolled) await alignFoldedTo(tx, move)
  return isRolled && isFolded ? joint : undefined
}

/** The joint state of both names. */
type Joint = {
  /** The first day that is not rolled up. */
  border: string
  /** The newest end of a fold, but before any pending request, so that no pending request becomes late. */
  foldedTo: string
}

type Readiness = {
  /** Whether neither name has an outcome before the border on a day that is not rolled up. */
  isRolled: boolean
  /** Whether no pending request can change a day before the border. */
  isFolded: boolean
}

const isEither = ({ from, to }: AliasMove): RawBuilder<unknown> => sql`registry = any(${[from, to]}::text[])`

/** Outcomes are searched in the order of their key, so that the search is fast even if there are none. */
const jointOf = async (tx: Sql, move: AliasMove, windows: JoinWindows): Promise<Joint & Readiness> => {
  const settled = sql`${settledAfter(windows) / MICROS_PER_SECOND} * interval '1 second'`
  const { rows } = await sql<Joint & Readiness>`
    with two as (select * from pulls.registries where ${isEither(move)}),
    latest as (select max(rolled_to) as border, max(folded_to) as folded_to from two),
    first_pending as (
      select min(p.at) as at from two cross join lateral (
        select min(at) as at from pulls.pending where registry = two.registry and at > two.folded_to
      ) p
    ),
    joint as (
      select border, least(folded_to, first_pending.at - interval '1 microsecond') as folded_to from latest cross join first_pending
    )
    select border::text, folded_to::text as "foldedTo",
      not isfinite(border) or folded_to >= ${start(sql`border`)} + ${settled} as "isFolded",
      not exists (
        select from two cross join lateral (
          select from pulls.outcomes
          where registry = two.registry and at >= ${start(sql`two.rolled_to`)} and at < ${start(sql`border`)}
          order by repository limit 1
        ) o
        where two.rolled_to < border
      ) as "isRolled"
    from joint
  `.execute(tx)
  const [joint] = rows
  if (!joint) throw new Error(`registries ${move.from} and ${move.to} are not recorded`)
  return joint
}

const start = (day: RawBuilder<unknown>): RawBuilder<unknown> => sql`(${day}::timestamp at time zone 'UTC')`

/** Both names are one registry: if one has no pending requests, its fold is set to the end of the other, so that its days are over. */
const alignFoldedTo = async (tx: Sql, move: AliasMove): Promise<void> => {
  await sql`
    update pulls.registries r set folded_to = latest.at
    from (select max(folded_to) as at from pulls.registries where ${isEither(move)}) latest
    where ${isEither(move)} and folded_to < latest.at and not exists (
      select from pulls.pending p where p.registry = r.registry and p.at > r.folded_to and p.at <= latest.at
    )
  `.execute(tx)
}

/** Sets the state of the name to the joint state. @returns 0: no rows are moved */
const setJoint = async (tx: Sql, { from, to }: AliasMove, { border, foldedTo }: Joint): Promise<number> => {
  await sql`
    update pulls.registries n
    set folded_to = ${foldedTo}::timestamptz, rolled_to = ${border}::date,
      newest_at = greatest(n.newest_at, a.newest_at), newest_since = greatest(n.newest_since, a.newest_since),
      blobs_at = greatest(n.blobs_at, a.blobs_at), kept_from = greatest(n.kept_from, a.kept_from)
    from pulls.registries a where n.registry = ${to} and a.registry = ${from}
  `.execute(tx)
  return 0
}
