import { sql } from 'kysely'
import type { Database } from '../../storage/database.js'
import { eachAlone } from '../../storage/each-alone.js'
import { moveRepository } from './move.js'

type Open = { from_registry: string; from: string; to_registry: string; to: string; until: string | null }

/**
 * Finishes moves that broke off, whether or not the configuration still has their alias.
 * @throws AggregateError when some failed; the others were finished.
 */
export const finishOpenMoves = async (database: Database): Promise<void> => {
  const { rows } = await sql<Open>`
    select source.registry as from_registry, source.name as from, target.registry as to_registry, target.name as to,
      (extract(epoch from until) * 1000000)::bigint as until
    from inventory.open_moves
      join inventory.repositories source on source.id = from_id
      join inventory.repositories target on target.id = to_id
    order by from_id
  `.execute(database.sql)
  await eachAlone(rows, async ({ from_registry, from, to_registry, to, until }) => {
    await moveRepository(database, {
      from: { registry: from_registry, name: from },
      to: { registry: to_registry, name: to },
      ...(until !== null && { until: Number(until) }),
    })
  })
}
