import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'

/** All invocations and pulls of a repository since it was first heard of. */
export type PullTotal = { registry: string; repository: string; invocations: number; pulls: number }

/** Repositories that are told by name: each is a series of its own wherever numbers are collected. */
const MOST = 500
/** Stands for all other repositories. */
const OTHER = 'other'

/** The totals of the repositories that were heard of first, and of all others together, so that no series ever falls. */
export const pullTotals = async (db: Sql): Promise<PullTotal[]> => {
  const { rows } = await sql<Record<keyof PullTotal, string>>`
    with ranked as (select *, row_number() over (order by number) <= ${MOST} as is_named from pulls.totals)
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
