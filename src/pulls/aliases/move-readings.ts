import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { JoinWindows } from '../model/join-windows.js'
import { NEWEST_DAYS } from '../model/behaviour.js'
import type { AliasMove } from './alias-move.js'
import { lockJoint } from './move-live.js'
import { countPortion } from '../roll-up/moved-portions.js'

/** Identifies a reading of an origin's behaviour, and is the sort key of the readings of a registry. */
type ReadingKey = { day: string; repository: string; origin: string }

/** The last reading that was copied. */
export type CopiedTo = ReadingKey | 'nothing' | 'end'

/**
 * Copies some readings of the newest rolled-up days, before outcomes are moved: days that are not rolled up use these readings, too.
 * @returns `blocked` if no row can be moved yet
 */
export const copyNewestReadings = async (
  tx: Sql,
  move: AliasMove,
  { windows, after, most }: { windows: JoinWindows; after: Exclude<CopiedTo, 'end'>; most: number },
): Promise<CopiedTo | 'blocked'> => {
  const joint = await lockJoint(tx, move, windows)
  if (!joint) return 'blocked'
  const { rows } = await sql<ReadingKey>`
    with portion as materialized (
      select day, repository, origin, behaviour, likely from pulls.behaviours
      where registry = ${move.from} and day >= ${joint.border}::date - ${sql.lit(NEWEST_DAYS)}::int
        and day < ${joint.border}::date
        ${after !== 'nothing' ? sql`and (day, repository, origin) > (${after.day}::date, ${after.repository}, ${after.origin})` : sql``}
      order by day, repository, origin limit ${most}
    ), copied as (
      insert into pulls.behaviours (day, registry, repository, origin, behaviour, likely)
      select day, ${move.to}, repository, origin, behaviour, likely from portion
      on conflict do nothing
    )
    select day::text, repository, origin from portion p order by p.day desc, repository desc, origin desc limit 1
  `.execute(tx)
  if (!rows[0]) return 'end'
  await countPortion(tx)
  return rows[0]
}
