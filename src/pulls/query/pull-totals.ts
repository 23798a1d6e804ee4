import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'

/** All invocations and pulls of a repository since its first one. */
export type PullTotal = { registry: string; repository: string; invocations: number; pulls: number }

/** Repositories with totals of their own. The number is bounded, because each is a separate series of metrics. */
const MAX_NAMED = 500
/** The name for all other repositories together. */
const OTHER = 'other'

/** The totals of the repositories that were recorded first, and of all others together. A fixed order ensures that no series falls. */
export const pullTotals = async (db: Sql): Promise<PullTotal[]> => {
  const { rows } = await sql<Record<keyof PullTotal, string>>`
    with ranked as (select *, row_number() over (order by number) <= ${MAX_NAMED} as is_named from pulls.totals)
    select registry, repository, invocations, pulls from ranked where is_named
    union all
    select ${OTHER}, ${OTHER}, sum(invocations), sum(pulls) from ranked where not is_named having count(*) > 0
  `.execute(db)
  return rows.map(({ invocations, pulls, ...names }) => ({
    ...names,
    invocations: Number(invocations),
    pulls: Number(pulls),
  }))
}
