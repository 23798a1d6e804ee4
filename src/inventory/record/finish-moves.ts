import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { epochMicros } from '../../storage/sql/moments.js'
import { eachAlone } from '../../storage/each-alone.js'
import { moveRepository } from './move-repository.js'

type Open = {
  from_id: number
  from_registry: string
  from: string
  to_registry: string
  to: string
  until: string | null
}

/**
 * Finishes interrupted moves of aliases, whether or not the configuration still has the alias. carryOutRenames finishes the
 * moves of renames, because it has a time limit.
 * @throws AggregateError if moves failed; the others were finished.
 */
export const finishAliasMoves = async (database: Database): Promise<void> => {
  await eachAlone(await readOpenMoves(database.sql, 'of aliases'), async (open) => {
    await finishMove(database, open)
  })
}

/** Open moves of aliases, or open moves of the renames of a registry whose source id is greater than `after`. */
export const readOpenMoves = async (
  db: Sql,
  which: 'of aliases' | { renamesOf: string; after: number },
): Promise<Open[]> => {
  const { rows } = await sql<Open>`
    select from_id, source.registry as from_registry, source.name as from, target.registry as to_registry, target.name as to,
      ${epochMicros(sql`until`)} as until
    from inventory.open_moves
      join inventory.repositories source on source.id = from_id
      join inventory.repositories target on target.id = to_id
    where ${
      which === 'of aliases'
        ? sql`until is null`
        : sql`until is not null and source.registry = ${which.renamesOf} and from_id > ${which.after}`
    }
    order by from_id
  `.execute(db)
  return rows
}

/** @returns the result of moveRepository. */
export const finishMove = async (
  database: Database,
  { from_registry, from, to_registry, to, until }: Open,
  isOver?: () => boolean,
): ReturnType<typeof moveRepository> =>
  moveRepository(
    database,
    {
      from: { registry: from_registry, name: from },
      to: { registry: to_registry, name: to },
      ...(until !== null && { until: Number(until) }),
    },
    isOver,
  )
