import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'

/** Whether a registry has pulls, or requests that will become pulls, and none of them is from files. */
export const hasLivePulls = async (db: Sql, registry: string): Promise<boolean> => {
  const { rows } = await sql<{ isLive: boolean }>`
    select not exists (select from pulls.segment_days where registry = ${registry}) and (
      exists (select from pulls.pending where registry = ${registry})
      or exists (
        select from pulls.registries where registry = ${registry} and (isfinite(folded_to) or isfinite(rolled_to))
      )
    ) as "isLive"
  `.execute(db)
  return rows[0]?.isLive === true
}
