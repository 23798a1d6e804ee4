import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'
import type { Asked } from './asked.js'
import { momentsOf } from './filters.js'

/**
 * A sentence on requests of the period that are not folded yet, where there are any: the newest always wait for late ones. What lies
 * before the end of the fold is late itself, and has left index entries behind that are not to be walked through.
 */
export const waitingNotes = async (db: Sql, { period, timeZone }: Asked): Promise<string[]> => {
  const { from, to } = momentsOf(period, timeZone)
  const { rows } = await sql<{ since: string | null }>`
    select to_char(min(first.at at time zone ${timeZone}::text), 'YYYY-MM-DD HH24:MI:SS') as since
    from pulls.registries r cross join lateral (
      select min(p.at) as at from pulls.pending p
      where p.registry = r.registry and p.at >= ${from} and p.at > r.folded_to and p.at < ${to}
    ) first
  `.execute(db)
  const since = rows[0]?.since ?? null
  return since === null
    ? []
    : [`Requests since ${since} (${timeZone}) wait to be folded, and are not all in these numbers yet.`]
}
