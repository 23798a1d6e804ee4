import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
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
 * Finishes moves of aliases that broke off, whether or not the configuration still has their alias. Those of renames belong to
 * carryOutRenames, which has a time limit.
 * @throws AggregateError when some failed; the others were finished.
 */
export const finishAliasMoves = async (database: Database): Promise<void> => {
  await eachAlone(await readOpenMoves(database.sql, 'of aliases'), async (open) => {
    await finishMove(database, open)
  })
}

/** Moves that began: those of aliases, or those of the renames of a registry, behind an id. */
export const readOpenMoves = async (
  db: Sql,
  which: 'of aliases' | { renamesOf: string; after: number },
): Promise<Open[]> => {
  const { rows } = await sql<Open>`
    select from_id, source.registry as from_registry, source.name as from, target.registry as to_registry, target.name as to,
      (extract(epoch from until) * 1000000)::bigint as until
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

/** @returns as moveRepository does. */
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
