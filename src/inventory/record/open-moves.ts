import { sql, type RawBuilder } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { hasRowsToMove, IS_EMPTY } from './moved-rows.js'

/** The repositories of a move, both locked. */
export type Ids = { from: number; to: number }
/** The time of a rename; missing for an alias. */
type Until = { until?: Micros | undefined }

/** Another move from or to the source is open: this move would take rows that belong elsewhere. */
export class MoveBlocked extends Error {}

/**
 * Refuses a move while another one has to be finished first. A repository is the source of at most one open move, and of no
 * open move while another one leads to it. So open moves never form a cycle, and one of them can always proceed.
 * @throws MoveBlocked
 */
export const assertNoOtherOpenMove = async (tx: Sql, { from, to }: Ids): Promise<void> => {
  const { rows } = await sql`
    select from inventory.open_moves where to_id = ${from} or (from_id = ${from} and to_id <> ${to}) limit 1
  `.execute(tx)
  if (rows.length > 0) throw new MoveBlocked('another move has to be finished first')
}

const timeOf = ({ until }: Until): RawBuilder<unknown> =>
  sql`${until === undefined ? null : isoTime(until)}::timestamptz`

/**
 * Marks a move as open, in each transaction that moves rows: until the move is finished, either path has only a part of the
 * rows.
 */
export const openMove = async (tx: Sql, { from, to }: Ids, move: Until): Promise<void> => {
  await sql`
    insert into inventory.open_moves as o (from_id, to_id, until) values (${from}, ${to}, ${timeOf(move)})
    on conflict (from_id) do update set until = excluded.until where o.until < excluded.until
  `.execute(tx)
}

/**
 * Closes a move: deletes the source if it is empty now, and deletes the mark if no rows are left to move. If rows arrived late,
 * the mark stays until the next run.
 */
export const closeMove = async (tx: Sql, { from }: Ids, move: Until): Promise<void> => {
  const { rows } = await sql`
    with deleted as (
      delete from inventory.repositories r where id = ${from} and ${IS_EMPTY} returning id, registry, name
    ), no_longer_set_aside as (
      delete from inventory.set_aside_events s using deleted where s.registry = deleted.registry and s.name = deleted.name
    )
    select id from deleted
  `.execute(tx)
  await sql`
    delete from inventory.open_moves where from_id = ${from} and (${rows.length > 0} or (
      coalesce(until, 'infinity') <= coalesce(${timeOf(move)}, 'infinity') and not ${hasRowsToMove(sql`from_id`, move)}
    ))
  `.execute(tx)
}
