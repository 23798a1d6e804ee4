import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'
import { lockBoth, type Move } from './both-registries.js'
import { LOCK_SUMMARIES } from './summarize.js'

/** The days of a registry that were rolled up, the oldest first. */
export const daysToMove = async (db: Sql, { from }: Move): Promise<string[]> => {
  const { rows: borders } = await sql<{ border: string }>`
    select rolled_to::text as border from pulls.registries where registry = ${from} and isfinite(rolled_to)
  `.execute(db)
  const [first] = borders
  if (!first) return []
  const { rows } = await sql<{ day: string }>`
    select day::text from (
      select day from pulls.days where registry = ${from}
      union select day from pulls.behaviours where registry = ${from}
      union select (at at time zone 'UTC')::date from pulls.outcomes where registry = ${from}
    ) d
    where day < ${first.border}::date order by 1
  `.execute(db)
  return rows.map(({ day }) => day)
}

/**
 * Moves a day that both have rolled up, with what is kept of its detail. Its rows stand beside those that are there, and are
 * added up with them; it is summarized again, and its month.
 */
export const moveDay = async (tx: Sql, move: Move, day: string): Promise<void> => {
  const { from, to } = move
  await lockBoth(tx, move)
  await LOCK_SUMMARIES.execute(tx)
  const { rows } = await sql<{ isRolled: boolean }>`
    select bool_and(rolled_to > ${day}::date) as "isRolled" from pulls.registries
    where registry = any(${[from, to]}::text[])
  `.execute(tx)
  if (rows[0]?.isRolled !== true) return
  // Where detail was forgotten of one, the day is told by its rows.
  await sql`
    update pulls.registries n set kept_from = a.kept_from from pulls.registries a
    where n.registry = ${to} and a.registry = ${from} and n.kept_from < a.kept_from
  `.execute(tx)
  await moveDetail(tx, move, day)
  await sql`update pulls.days set registry = ${to} where registry = ${from} and day = ${day}::date`.execute(tx)
  await sql`
    delete from pulls.summarized where registry = any(${[from, to]}::text[]) and (
      grain = 'day' and start = ${day}::date or grain = 'month' and start = date_trunc('month', ${day}::timestamp)::date
    )
  `.execute(tx)
}

const moveDetail = async (tx: Sql, { from, to }: Move, day: string): Promise<void> => {
  const onDay = sql`a.at >= ${day}::timestamp at time zone 'UTC' and a.at < (${day}::timestamp + interval '1 day') at time zone 'UTC'`
  // A session of layers that began on a day that is over, and went on under the name.
  await sql`
    delete from pulls.outcomes a using pulls.outcomes n
    where a.registry = ${from} and n.registry = ${to} and n.repository = a.repository and n.at = a.at and n.id = a.id
      and ${onDay}
  `.execute(tx)
  await sql`update pulls.outcomes a set registry = ${to} where registry = ${from} and ${onDay}`.execute(tx)
  await sql`
    with moved as (
      delete from pulls.behaviours where registry = ${from} and day = ${day}::date
      returning day, repository, origin, behaviour, likely
    )
    insert into pulls.behaviours (day, registry, repository, origin, behaviour, likely)
    select day, ${to}, repository, origin, behaviour, likely from moved
    on conflict do nothing
  `.execute(tx)
}
