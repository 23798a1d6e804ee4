import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'

/**
 * Moves outcomes to the name of their registry, and deletes those that the name has already.
 * @param isMoved a condition on an outcome `a`
 * @returns the number of moved outcomes
 */
export const renameOutcomes = async (tx: Sql, to: string, isMoved: RawBuilder<unknown>): Promise<number> => {
  await sql`
    delete from pulls.outcomes a where ${isMoved} and exists (
      -- Each is looked up by the key: without "offset", all outcomes of the name may be read instead.
      select from pulls.outcomes n
      where n.registry = ${to} and n.repository = a.repository and n.at = a.at and n.id = a.id offset 0
    )
  `.execute(tx)
  const { numAffectedRows = 0n } = await sql`
    update pulls.outcomes a set registry = ${to} where ${isMoved}
  `.execute(tx)
  return Number(numAffectedRows)
}
